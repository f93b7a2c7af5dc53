package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
)

// A GuardError says that a request would have reached an address it must not.
type GuardError struct{ Address string }

// Error names the address.
func (e *GuardError) Error() string {
	return fmt.Sprintf("address %s is not a public one", e.Address)
}

// A RedirectError says that a hop was refused.
type RedirectError struct {
	From, To string // redacted addresses
	Err      error
}

// Error names both ends of the hop.
func (e *RedirectError) Error() string {
	return fmt.Sprintf("redirect from %s to %s refused: %v", e.From, e.To, e.Err)
}

// Unwrap is why.
func (e *RedirectError) Unwrap() error { return e.Err }

// dialling is a transport whose dialer checks every address it connects to.
func dialling(o Options) http.RoundTripper {
	guard := guard{loopback: o.AllowLoopback, private: o.AllowPrivate}
	checked := &net.Dialer{Timeout: connectTimeout, Control: guard.control}
	plain := &net.Dialer{Timeout: connectTimeout}
	var proxies sync.Map // host:port of proxies the environment named
	return &http.Transport{
		Proxy: func(req *http.Request) (*url.URL, error) {
			proxy, err := http.ProxyFromEnvironment(req)
			if proxy != nil {
				if err := guard.literal(req.URL.Hostname()); err != nil {
					return nil, err
				}
				proxies.Store(hostPort(proxy), true)
			}
			return proxy, err
		},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if _, ok := proxies.Load(address); ok {
				return plain.DialContext(ctx, network, address)
			}
			return checked.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           max(64, o.PerHost),
		MaxIdleConnsPerHost:    o.PerHost,
		MaxConnsPerHost:        o.PerHost,
		IdleConnTimeout:        o.Idle,
		TLSHandshakeTimeout:    connectTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

func hostPort(u *url.URL) string {
	if port := u.Port(); port != "" {
		return net.JoinHostPort(u.Hostname(), port)
	}
	switch u.Scheme {
	case "https":
		return net.JoinHostPort(u.Hostname(), "443")
	case "socks5", "socks5h":
		return net.JoinHostPort(u.Hostname(), "1080")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

// guard judges addresses.
type guard struct{ loopback, private bool }

// control is called by the dialer with the resolved address, before connecting.
func (g guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &GuardError{Address: address}
	}
	return g.check(ap.Addr())
}

// literal judges a host that is written as an address; names pass.
func (g guard) literal(host string) error {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	return g.check(addr)
}

func (g guard) check(addr netip.Addr) error {
	a := embedded(addr.Unmap().WithZone(""))
	switch {
	case a.IsLoopback():
		if g.loopback {
			return nil
		}
	case a.IsPrivate(), carrierGrade.Contains(a):
		if g.private {
			return nil
		}
	case a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast(), thisNetwork.Contains(a), reserved.Contains(a):
	default:
		return nil
	}
	return &GuardError{Address: addr.String()}
}

var (
	carrierGrade = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	thisNetwork  = netip.MustParsePrefix("0.0.0.0/8")     // RFC 1122
	reserved     = netip.MustParsePrefix("240.0.0.0/4")   // RFC 1112, broadcast included
	nat64        = netip.MustParsePrefix("64:ff9b::/96")  // RFC 6052
	sixToFour    = netip.MustParsePrefix("2002::/16")     // RFC 3056
)

// embedded is the IPv4 address inside an IPv6 address of a translation scheme,
// or the address itself: a translator would lead there.
func embedded(a netip.Addr) netip.Addr {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

var errTooManyRedirects = errors.New("more than 10 redirects")

func checkRedirect(standing RedirectFunc) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if stay, _ := req.Context().Value(unfollowedKey).(bool); stay {
			return http.ErrUseLastResponse
		}
		from := via[len(via)-1].URL
		refuse := func(err error) error {
			return &RedirectError{From: RedactURL(from), To: RedactURL(req.URL), Err: err}
		}
		if len(via) >= maxRedirects {
			return refuse(errTooManyRedirects)
		}
		if req.URL.Scheme != "https" && (req.URL.Scheme != "http" || from.Scheme != "http") {
			return refuse(fmt.Errorf("from %s down to %s", from.Scheme, req.URL.Scheme))
		}
		judge := standing
		if f, ok := req.Context().Value(redirectKey).(RedirectFunc); ok && f != nil {
			judge = f
		}
		if judge == nil {
			return nil
		}
		if err := judge(from, req.URL); err != nil {
			return refuse(err)
		}
		return nil
	}
}
