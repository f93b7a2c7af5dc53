package graph_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/graph"
)

// An authority is a simulator behind TLS, where azidentity believes to speak to
// Microsoft: what is asked of any host is asked of it.
type authority struct {
	*httptest.Server
	asked atomic.Int32 // tokens
}

func newAuthority(t *testing.T, w *world) *authority {
	a := &authority{}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
			a.asked.Add(1)
		}
		w.server.ServeHTTP(rw, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// Do sends every request to the simulator.
func (a *authority) Do(req *http.Request) (*http.Response, error) {
	to, err := url.Parse(a.URL)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Host, req.URL.Host = req.URL.Host, to.Host // it answers as the host that was asked
	return a.Client().Do(req)
}

func (a *authority) signIn(directory string) msgraph.SignIn {
	cloud, err := msgraph.CloudNamed("usGov")
	if err != nil {
		panic(err)
	}
	return msgraph.SignIn{Directory: directory, ClientID: "11111111-2222-4333-8444-555555555555", Cloud: cloud, HTTP: a, Unlisted: true}
}

// credential is a certificate with its key, in PEM.
func credential(t *testing.T, from, to time.Time) ([]byte, *x509.Certificate) {
	t.Helper()
	key := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "packmill"}, NotBefore: from, NotAfter: to}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	var out bytes.Buffer
	for kind, data := range map[string][]byte{"CERTIFICATE": der, "PRIVATE KEY": must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key))} {
		if err := pem.Encode(&out, &pem.Block{Type: kind, Bytes: data}); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes(), must[*x509.Certificate](t)(x509.ParseCertificate(der))
}

func federated(subject string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256"}`) + "." + part(`{"aud":"api://AzureADTokenExchange","sub":"`+subject+`"}`) + "." + part("signature")
}

// TestSignIn has azidentity itself sign in in each way, with what is right and
// what is wrong, and says what to do about the latter.
func TestSignIn(t *testing.T) {
	now := time.Now() // azidentity knows no other clock
	pemData, cert := credential(t, now.Add(-time.Hour), now.Add(time.Hour))
	other, _ := credential(t, now.Add(-time.Hour), now.Add(time.Hour))
	old, _ := credential(t, now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	const subject = "repo:example-msp/packages:ref:refs/heads/main"
	const unconsented, expired = "7f6e1c52-0000-4000-8000-000000000003", "7f6e1c52-0000-4000-8000-000000000004"
	w := newWorld(t, func(o *graph.Options) {
		o.Now, o.Secret, o.Certificate, o.Subject = time.Now, "s3cret", cert, subject
		o.Tenants = append(o.Tenants, graph.Tenant{Directory: unconsented, SignIn: 700016}, graph.Tenant{Directory: expired, SignIn: 7000222})
	})
	a := newAuthority(t, w)
	secret := func(directory, value string) (msgraph.TokenSource, error) {
		return msgraph.Secret(a.signIn(directory), value)
	}
	certificate := func(data []byte) (msgraph.TokenSource, error) {
		return msgraph.Certificate(a.signIn(nordic), data, nil, now)
	}
	job := func(subject string) (msgraph.TokenSource, error) {
		return msgraph.Assertion(a.signIn(nordic), func(context.Context) (string, error) { return federated(subject), nil })
	}
	for name, tt := range map[string]struct {
		source func() (msgraph.TokenSource, error)
		kind   fleet.Kind
		says   string // "" signs in
		next   string
	}{
		"secret":              {func() (msgraph.TokenSource, error) { return secret(nordic, "s3cret") }, 0, "", ""},
		"certificate":         {func() (msgraph.TokenSource, error) { return certificate(pemData) }, 0, "", ""},
		"job":                 {func() (msgraph.TokenSource, error) { return job(subject) }, 0, "", ""},
		"wrong secret":        {func() (msgraph.TokenSource, error) { return secret(nordic, "x") }, fleet.Refused, "AADSTS7000215", "the secret's value"},
		"expired secret":      {func() (msgraph.TokenSource, error) { return secret(expired, "s3cret") }, fleet.Refused, "has expired (AADSTS7000222", "make a new one"},
		"not consented":       {func() (msgraph.TokenSource, error) { return secret(unconsented, "s3cret") }, fleet.Refused, "not known in the tenant", "https://login.microsoftonline.us/" + unconsented + "/adminconsent?client_id=11111111-2222-4333-8444-555555555555"},
		"no tenant":           {func() (msgraph.TokenSource, error) { return secret("7f6e1c52-0000-4000-8000-00000000dead", "s3cret") }, fleet.Invalid, "AADSTS90002", "intune: directory"},
		"foreign certificate": {func() (msgraph.TokenSource, error) { return certificate(other) }, fleet.Refused, "AADSTS700027", "AZURE_CLIENT_CERTIFICATE_PATH"},
		"old certificate":     {func() (msgraph.TokenSource, error) { return certificate(old) }, fleet.Refused, "is valid from", "make a new one"},
		"no certificate":      {func() (msgraph.TokenSource, error) { return certificate([]byte("no")) }, fleet.Invalid, "cannot be read", "PKCS #12"},
		"another branch":      {func() (msgraph.TokenSource, error) { return job("repo:example-msp/packages:ref:refs/heads/x") }, fleet.Refused, "AADSTS700213", "repo:OWNER/NAME"},
	} {
		t.Run(name, func(t *testing.T) {
			source, err := tt.source()
			var token string
			if err == nil {
				token, err = source.Token(t.Context())
			}
			if tt.says == "" {
				if err != nil || token == "" {
					t.Fatalf("token %q, %v", token, err)
				}
				return
			}
			var e *fleet.Error
			if e, _ = err.(*fleet.Error); e == nil || e.Kind != tt.kind || !strings.Contains(e.Error(), tt.says) || !strings.Contains(e.Hint, tt.next) {
				t.Fatalf("%v, hint %q", err, hintOf(err))
			}
			if strings.ContainsAny(e.Error(), "\r\n") || strings.Contains(e.Error(), "Trace ID") || strings.Contains(e.Error(), "s3cret") {
				t.Errorf("the text is not fit for a line: %q", e.Error())
			}
		})
	}
}

func hintOf(err error) string {
	if e, ok := err.(*fleet.Error); ok {
		return e.Hint
	}
	return ""
}

// TestLongerToken gets a new token of azidentity, which would keep the present
// one, when what is left of that is too short.
func TestLongerToken(t *testing.T) {
	w := newWorld(t, func(o *graph.Options) { o.Now = time.Now })
	a := newAuthority(t, w)
	source := must[msgraph.TokenSource](t)(msgraph.Secret(a.signIn(nordic), "s3cret"))
	lasting := source.(msgraph.Lasting)
	for step, tt := range []struct {
		left time.Duration
		want int32
	}{{10 * time.Minute, 1}, {50 * time.Minute, 1}, {2 * time.Hour, 2}, {10 * time.Minute, 2}} {
		if _, err := lasting.TokenTo(t.Context(), time.Now().Add(tt.left)); err != nil || a.asked.Load() != tt.want {
			t.Errorf("step %d: %d tokens were asked for, want %d (%v)", step, a.asked.Load(), tt.want, err)
		}
	}
}

// TestTokenLastsThroughCommit ends no token between an upload and its commit: one
// with little time left is renewed before either begins.
func TestTokenLastsThroughCommit(t *testing.T) {
	w := newWorld(t, nil)
	var asked []time.Time
	next := w.http.Config.Handler
	w.http.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/token") {
			asked = append(asked, w.clock.Now())
		}
		next.ServeHTTP(rw, r)
	})
	c := w.client(nordic)
	if _, err := c.Inventory(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := w.clock.Now()
	w.clock.Set(began.Add(45 * time.Minute)) // fifteen minutes are left
	publish(t, c, fleet.Candidate, "24.08")
	if len(asked) != 2 || asked[1].Sub(began) > 50*time.Minute {
		t.Errorf("tokens were asked for at %v", asked)
	}
}
