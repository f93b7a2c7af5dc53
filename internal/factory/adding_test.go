package factory_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
	"github.com/packmill/packmill/internal/rules/adopt"
)

// TestAddAltered adds a signed installer of which one byte was changed after it
// was signed, and one of a publisher whose file names another signer.
func TestAddAltered(t *testing.T) {
	original, err := os.ReadFile("../format/pe/testdata/hello-signed.exe")
	if err != nil {
		t.Fatal(err)
	}
	altered := append([]byte(nil), original...)
	altered[0x4e]++ // in the text of the DOS stub, which no reader looks at
	repo := &fleet.Repository{Publishers: map[string]fleet.Publisher{"other": {Name: "Other", Signers: map[string]fleet.ExpectedSigner{
		"one": {Kind: "authenticode", Subject: "CN=Somebody Else"},
	}}}}
	for _, c := range []struct {
		name, publisher string
		data            []byte
		why             string
	}{
		{"altered.exe", "acme", altered, "altered after"},
		{"other.exe", "other", original, "whom the publisher's file does not name"},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := factory.OpenSample(path, factory.SampleOptions{At: time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC), Digest: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		options := factory.ImportOptions{Options: adopt.Options{ID: fleet.PackageID(c.publisher + "/tool")}}
		_, err = factory.Add(t.Context(), nil, repo, s, adopt.Given{Version: "1.0"}, options, desired.Options{})
		if fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want a refusal that says %q", c.name, err, c.why)
		}
		if c.name == "altered.exe" && s.File.Trouble == "" {
			t.Errorf("%s: the inspection says nothing of it", c.name)
		}
	}
}
