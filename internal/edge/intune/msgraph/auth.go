package msgraph

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/packmill/packmill/internal/fleet"
)

// A TokenSource gives bearer tokens for Graph. Implementations cache: it is
// asked before every request.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// A Lasting source gives, when asked, a token that ends no sooner than an
// instant, as far as the authority grants such a one.
type Lasting interface {
	TokenTo(ctx context.Context, until time.Time) (string, error)
}

// TokenFunc is a function as a TokenSource.
type TokenFunc func(ctx context.Context) (string, error)

// Token calls the function.
func (f TokenFunc) Token(ctx context.Context) (string, error) { return f(ctx) }

// Static is a token that somebody else obtained.
type Static string

// Token is the token.
func (s Static) Token(context.Context) (string, error) { return string(s), nil }

// A SignIn is as which application, and where, packmill signs in to a tenant.
type SignIn struct {
	Directory string // tenant id
	ClientID  string // of the application; the same in all tenants
	Cloud     Cloud
	HTTP      policy.Transporter // nil: azidentity's own
	Unlisted  bool               // the authority is none of Microsoft's, so Microsoft is not asked about it
}

func (in SignIn) options() azcore.ClientOptions {
	return azcore.ClientOptions{
		Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: in.Cloud.Authority, Services: map[cloud.ServiceName]cloud.ServiceConfiguration{}},
		// The transport below repeats what may be repeated.
		Retry: policy.RetryOptions{MaxRetries: -1}, Transport: in.HTTP,
	}
}

// Secret authenticates an application by a client secret.
func Secret(in SignIn, secret string) (TokenSource, error) {
	return in.source(func() (azcore.TokenCredential, error) {
		return azidentity.NewClientSecretCredential(in.Directory, in.ClientID, secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: in.options(), DisableInstanceDiscovery: in.Unlisted})
	})
}

// Certificate authenticates an application by a certificate with its private
// key, in PEM or PKCS #12; the password opens the latter, or an encrypted key.
// A certificate that is not valid at now is refused here: the authority would
// only say that it does not know it.
func Certificate(in SignIn, data, password []byte, now time.Time) (TokenSource, error) {
	certs, key, err := azidentity.ParseCertificates(data, password)
	if err != nil {
		return nil, &fleet.Error{Op: "intune.token", Object: in.Directory, Kind: fleet.Invalid, Err: fmt.Errorf("the certificate cannot be read: %w", err),
			Hint: "want PEM with certificate and private key, or PKCS #12 with its password"}
	}
	leaf := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return !c.IsCA })
	if c := certs[max(leaf, 0)]; now.After(c.NotAfter) || now.Before(c.NotBefore) {
		return nil, &fleet.Error{Op: "intune.token", Object: in.Directory, Kind: fleet.Refused,
			Err:  fmt.Errorf("the certificate is valid from %s to %s", c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly)),
			Hint: "make a new one, add it to the app registration under Certificates & secrets, and put it in the file's place"}
	}
	return in.source(func() (azcore.TokenCredential, error) {
		return azidentity.NewClientCertificateCredential(in.Directory, in.ClientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: in.options(), DisableInstanceDiscovery: in.Unlisted})
	})
}

// Assertion authenticates an application by a federated identity, for example
// the OIDC token of a GitHub Actions job, which assertion returns. One
// multi-tenant application then serves all tenants without a stored secret.
func Assertion(in SignIn, assertion func(context.Context) (string, error)) (TokenSource, error) {
	return in.source(func() (azcore.TokenCredential, error) {
		return azidentity.NewClientAssertionCredential(in.Directory, in.ClientID, assertion,
			&azidentity.ClientAssertionCredentialOptions{ClientOptions: in.options(), DisableInstanceDiscovery: in.Unlisted})
	})
}

// source keeps a credential, and how to make it anew: its cache goes with it,
// and there is no other way to get a token before the present one ends.
func (in SignIn) source(renew func() (azcore.TokenCredential, error)) (TokenSource, error) {
	cred, err := renew()
	if err != nil {
		return nil, &fleet.Error{Op: "intune.token", Object: in.Directory, Kind: fleet.Invalid, Err: err}
	}
	return &azureSource{in: in, renew: renew, cred: cred}, nil
}

type azureSource struct {
	in    SignIn
	renew func() (azcore.TokenCredential, error)

	mu   sync.Mutex
	cred azcore.TokenCredential
}

// Token asks azidentity, which caches, and renews shortly before the end.
func (s *azureSource) Token(ctx context.Context) (string, error) {
	t, err := s.get(ctx)
	return t.Token, err
}

// TokenTo is a token that ends no sooner than until, if the authority gives one.
func (s *azureSource) TokenTo(ctx context.Context, until time.Time) (string, error) {
	t, err := s.get(ctx)
	if err != nil || !t.ExpiresOn.Before(until) {
		return t.Token, err
	}
	s.Forget()
	return s.Token(ctx)
}

// Forget drops the cached token: the service no longer takes it.
func (s *azureSource) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cred, err := s.renew(); err == nil { // it was made of the same before
		s.cred = cred
	}
}

func (s *azureSource) get(ctx context.Context) (azcore.AccessToken, error) {
	s.mu.Lock()
	cred := s.cred
	s.mu.Unlock()
	t, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{s.in.Cloud.Scope()}})
	if err != nil {
		return t, s.in.explain(ctx, err)
	}
	return t, nil
}

// claims are what is read of a token.
type claims struct {
	TID   string   `json:"tid"`
	Roles []string `json:"roles"` // application permissions
	App   string   `json:"appid"`
}

// claimsOf reads the claims of a token (RFC 7519). The signature is not
// checked: the token is ours to send, and the service checks it; what matters
// here is where a write would go.
func claimsOf(token string) (claims, error) {
	var out claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return out, errors.New("the token is no JSON web token, so its tenant is unknown")
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return out, fmt.Errorf("the token's claims cannot be read: %w", err)
	}
	if err := json.Unmarshal(data, &out); err != nil || out.TID == "" {
		return out, errors.New("the token names no tenant")
	}
	return out, nil
}
