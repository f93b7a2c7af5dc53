package msgraph

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// graphScope asks for whatever the tenant granted the application.
const graphScope = "https://graph.microsoft.com/.default"

// A TokenSource gives bearer tokens for Graph. Implementations cache: it is
// asked before every request.
type TokenSource interface {
	Token(ctx context.Context) (string, error)
}

// TokenFunc is a function as a TokenSource.
type TokenFunc func(ctx context.Context) (string, error)

// Token calls the function.
func (f TokenFunc) Token(ctx context.Context) (string, error) { return f(ctx) }

// Static is a token that somebody else obtained.
type Static string

// Token is the token.
func (s Static) Token(context.Context) (string, error) { return string(s), nil }

// Secret authenticates an application by a client secret.
func Secret(directory, clientID, secret string) (TokenSource, error) {
	cred, err := azidentity.NewClientSecretCredential(directory, clientID, secret, nil)
	return fromAzure(cred, err)
}

// Certificate authenticates an application by a certificate with its private
// key, in PEM or PKCS #12.
func Certificate(directory, clientID string, data, password []byte) (TokenSource, error) {
	certs, key, err := azidentity.ParseCertificates(data, password)
	if err != nil {
		return nil, &fleet.Error{Op: "intune.token", Object: directory, Kind: fleet.Invalid, Err: err}
	}
	cred, err := azidentity.NewClientCertificateCredential(directory, clientID, certs, key, nil)
	return fromAzure(cred, err)
}

// Assertion authenticates an application by a federated identity, for example
// the OIDC token of a GitHub Actions job, which assertion returns. One
// multi-tenant application then serves all tenants without a stored secret.
func Assertion(directory, clientID string, assertion func(context.Context) (string, error)) (TokenSource, error) {
	cred, err := azidentity.NewClientAssertionCredential(directory, clientID, assertion, nil)
	return fromAzure(cred, err)
}

type azureSource struct{ cred azcore.TokenCredential }

func fromAzure(cred azcore.TokenCredential, err error) (TokenSource, error) {
	if err != nil {
		return nil, &fleet.Error{Op: "intune.token", Kind: fleet.Invalid, Err: err}
	}
	return azureSource{cred}, nil
}

// Token asks azidentity, which caches and renews.
func (s azureSource) Token(ctx context.Context) (string, error) {
	t, err := s.cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{graphScope}})
	return t.Token, err
}

// ClientCredentials authenticates an application by a secret at any OAuth 2.0
// token endpoint (RFC 6749, section 4.4): sovereign clouds, and simulators,
// which azidentity does not speak to.
type ClientCredentials struct {
	Endpoint string // <authority>/<tenant id>/oauth2/v2.0/token
	ClientID string
	Secret   string
	HTTP     *transport.Client // nil: that of the Client it is given to
	Clock    fleet.Clock       // nil: that of the Client it is given to

	mu      sync.Mutex
	token   string
	expires time.Time
}

// fill sets what was left to the client.
func (s *ClientCredentials) fill(h *transport.Client, clock fleet.Clock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.HTTP == nil {
		s.HTTP = h
	}
	if s.Clock == nil {
		s.Clock = clock
	}
}

// early is how long before its end a token is no longer used.
const early = 5 * time.Minute

// Token is the cached token, or a new one shortly before its end.
func (s *ClientCredentials) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && s.Clock.Now().Add(early).Before(s.expires) {
		return s.token, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {s.ClientID}, "client_secret": {s.Secret}, "scope": {graphScope}}
	req, err := http.NewRequest(http.MethodPost, s.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.HTTP.Do(transport.Repeatable(ctx), req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", fmt.Errorf("the token endpoint's answer cannot be read: %w", err)
	}
	if answer.AccessToken == "" {
		return "", errors.New("the token endpoint answered without a token")
	}
	s.token, s.expires = answer.AccessToken, s.Clock.Now().Add(time.Duration(answer.ExpiresIn)*time.Second)
	return s.token, nil
}

// Forget drops the cached token: the service no longer takes it.
func (s *ClientCredentials) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = ""
}

// tenantOf reads the tid claim of a token (RFC 7519). The signature is not
// checked: the token is ours to send, and the service checks it; what matters
// here is where a write would go.
func tenantOf(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("the token is no JSON web token, so its tenant is unknown")
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", fmt.Errorf("the token's claims cannot be read: %w", err)
	}
	var claims struct {
		TID string `json:"tid"`
	}
	if err := json.Unmarshal(data, &claims); err != nil || claims.TID == "" {
		return "", errors.New("the token names no tenant")
	}
	return claims.TID, nil
}
