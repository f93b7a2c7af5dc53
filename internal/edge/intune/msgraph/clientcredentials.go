package msgraph

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// ClientCredentials authenticates an application by a secret at any OAuth 2.0
// token endpoint (RFC 6749, section 4.4): simulators, which azidentity does not
// speak to, and authorities that are none of Microsoft's clouds.
type ClientCredentials struct {
	Endpoint string // <authority>/<tenant id>/oauth2/v2.0/token
	SignIn   SignIn // whose errors are explained, and whose scope is asked for; the global cloud's when empty
	ClientID string
	Secret   string
	HTTP     *transport.Client // nil: that of the Client it is given to
	Clock    fleet.Clock       // nil: that of the Client it is given to

	mu      sync.Mutex
	token   string
	expires time.Time
}

// fill sets what was left to the client.
func (s *ClientCredentials) fill(directory string, h *transport.Client, clock fleet.Clock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.HTTP == nil {
		s.HTTP = h
	}
	if s.Clock == nil {
		s.Clock = clock
	}
	s.SignIn.Directory = cmp.Or(s.SignIn.Directory, directory)
	s.SignIn.ClientID = cmp.Or(s.SignIn.ClientID, s.ClientID)
	if s.SignIn.Cloud.Name == "" {
		s.SignIn.Cloud = clouds()[GlobalCloud]
	}
}

// early is how long before its end a token is no longer used.
const early = 5 * time.Minute

// Token is the cached token, or a new one shortly before its end.
func (s *ClientCredentials) Token(ctx context.Context) (string, error) {
	return s.TokenTo(ctx, s.Clock.Now().Add(early))
}

// TokenTo is the cached token if it ends after until, else a new one.
func (s *ClientCredentials) TokenTo(ctx context.Context, until time.Time) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && until.Before(s.expires) {
		return s.token, nil
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {s.ClientID}, "client_secret": {s.Secret},
		"scope": {cmp.Or(s.SignIn.Cloud.Graph, DefaultBaseURL) + "/.default"},
	}
	req, err := http.NewRequest(http.MethodPost, s.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.HTTP.Do(transport.Repeatable(ctx), req)
	if err != nil {
		return "", s.SignIn.explain(ctx, err)
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
