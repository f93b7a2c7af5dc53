package graph

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// tokenLifetime is about what the real endpoint grants.
const tokenLifetime = time.Hour

// tokenEndpoint grants client credentials (RFC 6749, section 4.4) for the
// tenant in its path.
func (s *Server) tokenEndpoint(w http.ResponseWriter, r *http.Request) {
	t := s.tenants[r.PathValue("tenant")]
	refuse := func(status int, code, description string) {
		s.answer(w, reply{status: status, body: map[string]any{"error": code, "error_description": description}}, nil)
	}
	switch {
	case t == nil:
		refuse(http.StatusBadRequest, "invalid_request", "the tenant was not found")
	case r.FormValue("grant_type") != "client_credentials":
		refuse(http.StatusBadRequest, "unsupported_grant_type", "only client credentials are granted")
	case r.FormValue("client_id") == "" || s.o.Secret != "" && r.FormValue("client_secret") != s.o.Secret:
		refuse(http.StatusUnauthorized, "invalid_client", "the client secret is wrong")
	default:
		s.answer(w, reply{status: http.StatusOK, body: map[string]any{
			"token_type": "Bearer", "expires_in": int(tokenLifetime / time.Second), "access_token": s.Token(t.Directory),
		}}, nil)
	}
}

type claims struct {
	Audience string `json:"aud"`
	TID      string `json:"tid"`
	App      string `json:"appid"`
	UPN      string `json:"upn,omitempty"` // of a person; "" for an application by itself
	Expires  int64  `json:"exp"`
}

// Token is an access token for a tenant: a JSON web token that is well formed
// and not signed (RFC 7519, section 6), since nobody checks it but this server.
func (s *Server) Token(directory string) string {
	return s.token(directory, s.o.Now().Add(tokenLifetime))
}

// PersonToken is an access token of a person with the portal, who is no business
// of packmill's.
func (s *Server) PersonToken(directory, upn string) string {
	return compact(claims{Audience: graphAudience, TID: directory, App: s.guid("portal"), UPN: upn, Expires: s.o.Now().Add(tokenLifetime).Unix()})
}

const graphAudience = "https://graph.microsoft.com"

func (s *Server) token(directory string, expires time.Time) string {
	return compact(claims{Audience: graphAudience, TID: directory, App: s.guid("application"), Expires: expires.Unix()})
}

func compact(c claims) string {
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			panic("graph: claims have no JSON form: " + err.Error())
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	return part(map[string]string{"alg": "none", "typ": "JWT"}) + "." + part(c) + "."
}

// claimsOf are the claims of a token that readToken took, or none.
func claimsOf(token string) (c claims) {
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if data, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(data, &c) // what cannot be read claims nothing
		}
	}
	return c
}

func (s *Server) readToken(token string) (directory string, expires time.Time, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", time.Time{}, errors.New("no token")
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", time.Time{}, err
	}
	var c claims
	err = json.Unmarshal(data, &c)
	return c.TID, time.Unix(c.Expires, 0), err
}
