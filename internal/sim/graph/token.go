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
	fault := s.begin(r, t, "token")
	refuse := func(status int, code, description string) {
		s.answer(w, reply{status: status, body: map[string]any{"error": code, "error_description": description}}, nil)
	}
	switch {
	case fault.Status != 0:
		s.busy(w, fault)
	case t == nil:
		refuse(http.StatusBadRequest, "invalid_request", "the tenant was not found")
	case r.FormValue("grant_type") != "client_credentials":
		refuse(http.StatusBadRequest, "unsupported_grant_type", "only client credentials are granted")
	case r.FormValue("client_id") == "" || s.o.Secret != "" && r.FormValue("client_secret") != s.o.Secret:
		refuse(http.StatusUnauthorized, "invalid_client", "the client secret is wrong")
	default:
		s.finish(w, reply{status: http.StatusOK, body: map[string]any{
			"token_type": "Bearer", "expires_in": int(tokenLifetime / time.Second), "access_token": s.Token(t.Directory),
		}}, nil, fault)
	}
}

type claims struct {
	Audience string `json:"aud"`
	TID      string `json:"tid"`
	App      string `json:"appid"`
	Expires  int64  `json:"exp"`
	Serial   int64  `json:"serial"` // of the tokens that this server has issued
}

// Token is an access token for a tenant: a JSON web token that is well formed
// and not signed (RFC 7519, section 6), since nobody checks it but this server.
func (s *Server) Token(directory string) string {
	return s.token(directory, s.o.Now().Add(tokenLifetime))
}

func (s *Server) token(directory string, expires time.Time) string {
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			panic("graph: claims have no JSON form: " + err.Error())
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	c := claims{Audience: "https://graph.microsoft.com", TID: directory, App: s.guid("application"), Expires: expires.Unix(), Serial: s.issued.Add(1)}
	return part(map[string]string{"alg": "none", "typ": "JWT"}) + "." + part(c) + "."
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
