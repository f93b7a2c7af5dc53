package upstream

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/packmill/packmill/internal/fleet"
)

var aptTime = time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC)

// archiveKey is a key of an archive, and what apt keeps of it.
func archiveKey(t *testing.T, armored bool) (*openpgp.Entity, string) {
	t.Helper()
	key, err := openpgp.NewEntity("Archive", "", "archive@vendor.example", &packet.Config{Time: func() time.Time { return aptTime.AddDate(-1, 0, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if !armored {
		if err := key.Serialize(&out); err != nil {
			t.Fatal(err)
		}
		return key, out.String()
	}
	w, err := armor.Encode(&out, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return key, out.String()
}

func clearSigned(t *testing.T, key *openpgp.Entity, text string) string {
	t.Helper()
	var out bytes.Buffer
	w, err := clearsign.Encode(&out, key.PrivateKey, &packet.Config{Time: func() time.Time { return aptTime.Add(-time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestReleaseFile believes a suite's Release file when a key of the source signed
// it, or when there is none and the way is trusted.
func TestReleaseFile(t *testing.T) {
	const text = "Suite: stable\nSHA256:\n 0000 1 main/binary-amd64/Packages\n"
	key, binary := archiveKey(t, false)
	other, armored := archiveKey(t, true)
	good := clearSigned(t, key, text)
	for _, tt := range []struct {
		name   string
		served string
		keys   []string
		http   bool // in truth plain http of another machine
		want   string
	}{
		{"signed by a binary key", good, []string{binary}, true, ""},
		{"signed by one of two", clearSigned(t, other, text), []string{binary, armored}, true, ""},
		{"a key that cannot be read, and one that can", good, []string{"nonsense", binary}, true, ""},
		{"signed by another", clearSigned(t, other, text), []string{binary}, false, fleet.HoldSigner},
		{"changed after it was signed", strings.Replace(good, "main/binary", "evil/binary", 1), []string{binary}, false, fleet.HoldSigner},
		{"unsigned", text, []string{binary}, false, fleet.HoldSigner},
		{"no key that can be read", good, []string{""}, false, fleet.HoldSigner},
		{"no key over http", good, nil, true, fleet.HoldNotAllowed},
		{"no key on a trusted way", good, nil, false, ""},
		{"unsigned on a trusted way", text, nil, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, tt.served) }))
			defer srv.Close()
			source := AptSource{URI: srv.URL, Suite: "stable", Keys: tt.keys}
			if tt.http {
				source.URI = "http://archive.vendor.example/debian"
			}
			got, err := New(Config{Clock: fleet.NewManualClock(aptTime)}).releaseFile(t.Context(), source, srv.URL+"/dists/stable")
			if tt.want == "" {
				if sums, _ := parseRelease(got); err != nil || !strings.Contains(string(got), "main/binary-amd64") || strings.Contains(string(got), "BEGIN PGP") {
					t.Errorf("%q, %v, %v", got, sums, err)
				}
				return
			}
			if h, ok := HoldOf(err); !ok || h.Name != tt.want {
				t.Errorf("%v, want the hold %s", err, tt.want)
			}
		})
	}
}
