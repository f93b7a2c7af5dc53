package graph

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// tokenLifetime is about what the real endpoint grants.
const tokenLifetime = time.Hour

// assertionType is of a client that proves itself by a token of its own
// (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// tokenEndpoint grants client credentials (RFC 6749, section 4.4) for the
// tenant in its path, and refuses in Entra's words.
func (s *Server) tokenEndpoint(w http.ResponseWriter, r *http.Request) {
	t := s.tenants[r.PathValue("tenant")]
	fault := s.begin(r, t, "token")
	refuse := func(status, code int, kind, message string) {
		s.answer(w, reply{status: status, body: map[string]any{
			"error": kind, "error_codes": []int{code}, "timestamp": s.o.Now().UTC().Format(time.RFC3339),
			"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s", code, message, s.guid("trace"), s.guid("correlation")),
		}}, nil)
	}
	switch {
	case fault.Status != 0:
		s.busy(w, fault)
	case t == nil:
		refuse(http.StatusBadRequest, 90002, "invalid_request", fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID.", r.PathValue("tenant")))
	case t.SignIn != 0:
		refuse(http.StatusUnauthorized, t.SignIn, "unauthorized_client", "The simulated tenant refuses the application.")
	case r.FormValue("grant_type") != "client_credentials":
		refuse(http.StatusBadRequest, 70003, "unsupported_grant_type", "The app requested an unsupported grant type.")
	case r.FormValue("client_id") == "":
		refuse(http.StatusBadRequest, 900144, "invalid_request", "The request body must contain the parameter 'client_id'.")
	default:
		if code, why := s.proven(r); code != 0 {
			refuse(http.StatusUnauthorized, code, "invalid_client", why)
			return
		}
		s.finish(w, reply{status: http.StatusOK, body: map[string]any{
			"token_type": "Bearer", "expires_in": int(tokenLifetime / time.Second), "ext_expires_in": int(tokenLifetime / time.Second), "access_token": s.Token(t.Directory),
		}}, nil, fault)
	}
}

// proven looks at how a client proves itself, and gives Entra's code for what is
// wrong with it, 0 for nothing.
func (s *Server) proven(r *http.Request) (code int, why string) {
	if r.FormValue("client_assertion_type") != assertionType {
		if s.o.Secret != "" && r.FormValue("client_secret") != s.o.Secret {
			return 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID."
		}
		return 0, ""
	}
	parts := strings.Split(r.FormValue("client_assertion"), ".")
	if len(parts) != 3 {
		return 50027, "JWT token is invalid or malformed."
	}
	var c struct {
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(data, &c) != nil {
		return 50027, "JWT token is invalid or malformed."
	}
	if strings.HasPrefix(c.Audience, "api://AzureADTokenExchange") { // a federated identity
		if s.o.Subject != "" && c.Subject != s.o.Subject {
			return 700213, fmt.Sprintf("No matching federated identity record found for presented assertion subject '%s'.", c.Subject)
		}
		return 0, ""
	}
	if s.o.Certificate == nil || !signedBy(s.o.Certificate, parts) {
		return 700027, "The certificate with identifier used to sign the client assertion is not registered on application."
	}
	return 0, ""
}

// signedBy checks an assertion's signature, of RSA with SHA-256 as Entra's
// clients make it (RFC 7518, sections 3.3 and 3.5).
func signedBy(cert *x509.Certificate, parts []string) bool {
	key, isRSA := cert.PublicKey.(*rsa.PublicKey)
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if !isRSA || err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return rsa.VerifyPSS(key, crypto.SHA256, sum[:], signature, nil) == nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
}

// discovery says where a tenant's tokens are asked for (OpenID Connect
// Discovery 1.0, section 4).
func (s *Server) discovery(w http.ResponseWriter, r *http.Request) {
	base := "https://" + r.Host + "/" + r.PathValue("tenant")
	if s.tenants[r.PathValue("tenant")] == nil {
		s.answer(w, reply{status: http.StatusBadRequest, body: map[string]any{
			"error": "invalid_tenant", "error_description": fmt.Sprintf("AADSTS90002: Tenant '%s' not found.", r.PathValue("tenant")), "error_codes": []int{90002},
		}}, nil)
		return
	}
	s.answer(w, reply{status: http.StatusOK, body: map[string]any{
		"token_endpoint": base + "/oauth2/v2.0/token", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "issuer": base + "/v2.0",
	}}, nil)
}

type claims struct {
	Audience string   `json:"aud"`
	TID      string   `json:"tid"`
	App      string   `json:"appid"`
	UPN      string   `json:"upn,omitempty"` // of a person; "" for an application by itself
	Expires  int64    `json:"exp"`
	Serial   int64    `json:"serial"` // of the tokens that this server has issued
	Roles    []string `json:"roles,omitempty"`
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
	c := claims{Audience: graphAudience, TID: directory, App: s.guid("application"), Expires: expires.Unix(), Serial: s.issued.Add(1)}
	if t := s.tenants[directory]; t != nil {
		c.Roles = t.roles()
	}
	return compact(c)
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
