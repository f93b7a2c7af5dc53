package transport

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestGuard(t *testing.T) {
	const public, loopback, private, never = "public", "loopback", "private", "never"
	for addr, class := range map[string]string{
		"192.0.2.1": public, "8.8.8.8": public, "2001:4860:4860::8888": public, "64:ff9b::808:808": public,
		"127.0.0.1": loopback, "127.9.9.9": loopback, "::1": loopback, "::ffff:127.0.0.1": loopback, "64:ff9b::7f00:1": loopback,
		"10.0.0.1": private, "172.16.0.1": private, "192.168.1.1": private, "100.64.0.1": private, "fd00::1": private, "2002:c0a8:101::1": private,
		"169.254.169.254": never, "fe80::1": never, "0.0.0.0": never, "0.1.2.3": never, "::": never, "224.0.0.1": never, "255.255.255.255": never, "fe80::1%eth0": never,
	} {
		a := netip.MustParseAddr(addr)
		for _, tt := range []struct {
			g    guard
			open map[string]bool
		}{
			{guard{}, map[string]bool{public: true}},
			{guard{loopback: true}, map[string]bool{public: true, loopback: true}},
			{guard{private: true}, map[string]bool{public: true, private: true}},
			{guard{true, true}, map[string]bool{public: true, loopback: true, private: true}},
		} {
			if got := tt.g.check(a) == nil; got != tt.open[class] {
				t.Errorf("%+v: %s passes: %v, want %v", tt.g, addr, got, tt.open[class])
			}
		}
	}
}

// TestGuardAfterResolution checks that names are judged by what they resolve
// to, and hops like first requests.
func TestGuardAfterResolution(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
	}))
	defer srv.Close()
	var guarded *GuardError
	if _, err := get(t, New(Options{}), t.Context(), srv.URL); !errors.As(err, &guarded) {
		t.Errorf("loopback: error = %v, want GuardError", err)
	}
	if _, err := get(t, New(Options{}), t.Context(), "http://localhost:1/"); !errors.As(err, &guarded) {
		t.Errorf("localhost: error = %v, want GuardError", err)
	}
	if _, err := get(t, New(Options{AllowLoopback: true, AllowPrivate: true}), t.Context(), srv.URL); !errors.As(err, &guarded) {
		t.Errorf("hop to link-local: error = %v, want GuardError", err)
	}
}
