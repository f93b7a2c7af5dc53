package transport

import (
	"net/url"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain text stays", "plain text stays"},
		{"https://a.example/b?sv=1&sig=AbC%2B&se=2", "https://a.example/b?sv=1&sig=REDACTED&se=2"},
		{"Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer REDACTED"},
		{`{"access_token":"secretvalue","expires":1}`, `{"access_token":"REDACTED","expires":1}`},
		{"token ghp_0123456789abcdefghij leaked", "token REDACTED leaked"},
		{"leak: github_pat_0123456789abcdefghij.", "leak: github_pat_REDACTED."},
		{"jwt eyJhbGciOi.eyJzdWIiOiJ4In0.c2ln end", "jwt eyJREDACTED end"},
		{"GET https://user:pass@host.example/x failed", "GET https://REDACTED@host.example/x failed"},
	} {
		if got := Redact(tt.in); got != tt.want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", tt.in, got, tt.want)
		}
	}
}

func TestRedactURL(t *testing.T) {
	u, err := url.Parse("https://user:pass@blob.example/c/b?sv=2020&SIG=abc&token=x&plain=y#frag")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := RedactURL(u), "https://REDACTED@blob.example/c/b?sv=2020&SIG=REDACTED&token=REDACTED&plain=y"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzRedact(f *testing.F) {
	for _, s := range []string{"", "sig=", "Bearer ", "://@", "eyJa.b.c", `"token": "x"`} {
		f.Add(s)
	}
	const secret = "ghp_0123456789abcdefghijABCDEF"
	f.Fuzz(func(t *testing.T, s string) {
		if got := Redact(s + " " + secret); strings.Contains(got, secret) {
			t.Errorf("Redact let %q through: %q", secret, got)
		}
	})
}
