package factory

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/packmill/packmill/internal/edge/upstream"
	"github.com/packmill/packmill/internal/fleet"
)

// TestPool takes a download as often as it was said to be needed: what is held
// is given out only while its bytes are those that came and those that are
// stated, and is gone once nobody needs it.
func TestPool(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	const bytes = "the installer"
	long := sha512.Sum512([]byte(bytes))
	at := upstream.Located{URL: "https://downloads.example/tool.exe"}
	repo := &fleet.Repository{Publishers: map[string]fleet.Publisher{"acme": {Hosts: []string{"downloads.example"}}}}
	located := map[string]upstream.Located{}
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		located[key] = at
	}
	finding := Finding{Detection: fleet.Detection{Package: "acme/tool", State: fleet.StateNew}, Upstream: upstream.Found{Installers: located}}
	old := finding
	old.State = fleet.StateNone
	p := newPool(repo, []Finding{finding, old})
	fetched := 0
	fetch := func(w io.Writer) error {
		fetched++
		_, err := io.WriteString(w, bytes)
		return err
	}
	hosts := repo.Publishers["acme"].Hosts
	same := fleet.DigestOf([]byte(bytes))
	last := ""
	for _, tt := range []struct {
		name  string
		d     fleet.Download
		spoil bool // what is held, before
		want  int  // fetched in all
	}{
		{"the first", fleet.Download{URL: at.URL}, false, 1},
		{"again", fleet.Download{URL: at.URL, SHA256: same, SHA512: hex.EncodeToString(long[:]), Size: int64(len(bytes))}, false, 1},
		{"of another digest", fleet.Download{URL: at.URL, SHA256: fleet.DigestOf([]byte("other"))}, false, 2},
		{"of another SHA-512", fleet.Download{URL: at.URL, SHA512: hex.EncodeToString(make([]byte, 64))}, false, 3},
		{"of another size", fleet.Download{URL: at.URL, Size: 5}, false, 4},
		{"spoiled", fleet.Download{URL: at.URL}, true, 5},
	} {
		if tt.spoil {
			if err := os.WriteFile(last, []byte("spoilt bytes!"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		file, err := p.take(tt.d, hosts, fetch)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if file.digest != same || file.size != int64(len(bytes)) || fetched != tt.want {
			t.Errorf("%s: %d bytes, fetched %d times", tt.name, file.size, fetched)
		}
		if last == "" {
			last = file.Name()
		}
		if err := p.done(tt.d, hosts, file); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(file.Name()); (err == nil) != (file.Name() == last) {
			t.Errorf("%s: afterwards %v", tt.name, err)
		}
	}
	if _, err := p.take(fleet.Download{URL: at.URL, Size: 1}, hosts, func(io.Writer) error { return errors.New("broken") }); err == nil {
		t.Error("a download that failed is there")
	}
	if err := p.remove(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestPoolKeepsNothing: what one installer alone needs is gone at once.
func TestPoolKeepsNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p := newPool(&fleet.Repository{}, nil)
	d := fleet.Download{URL: "https://downloads.example/tool.exe"}
	for range 2 {
		file, err := p.take(d, nil, func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err })
		if err != nil {
			t.Fatal(err)
		}
		if err := p.done(d, nil, file); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(p.dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
	if err := p.remove(); err != nil {
		t.Fatal(err)
	}
}
