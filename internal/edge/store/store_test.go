package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"

	"github.com/packmill/packmill/internal/fleet"
)

// backends are the places a store may be in; each test runs over all of them.
func backends(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	t.Run("layout", func(t *testing.T) {
		s, err := OpenLayout(filepath.Join(t.TempDir(), "store"))
		if err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
	for name, referrers := range map[string]bool{"registry": true, "registry without referrers": false} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrers), registry.Logger(log.New(io.Discard, "", 0))))
			t.Cleanup(server.Close)
			s, err := OpenRegistry(strings.TrimPrefix(server.URL, "http://")+"/packmill/artifacts", server.Client(), nil)
			if err != nil {
				t.Fatal(err)
			}
			test(t, s)
		})
	}
}

func file(installer, name, text string) File {
	return File{Installer: installer, Name: name, MediaType: MediaTypeDeb, Digest: fleet.DigestOf([]byte(text)), Size: int64(len(text)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

func example() Artifact {
	return Artifact{
		Files:       []File{file("x64", "a.deb", "one"), file("arm64", "b.deb", strings.Repeat("two", 100_000))},
		Annotations: map[string]string{AnnotationPackage: "acme/tool", AnnotationVersion: "1.0"},
	}
}

func read(t *testing.T, s *Store, f fleet.BuiltFile) string {
	t.Helper()
	r, err := s.Open(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPutAndRead(t *testing.T) {
	backends(t, func(t *testing.T, s *Store) {
		first, err := s.Put(t.Context(), example())
		if err != nil {
			t.Fatal(err)
		}
		swapped := example()
		swapped.Files[0], swapped.Files[1] = swapped.Files[1], swapped.Files[0]
		if again, err := s.Put(t.Context(), swapped); err != nil || again != first {
			t.Errorf("the same files in another order: %s, %v, want %s", again, err, first)
		}
		if has, err := s.Has(t.Context(), first); err != nil || !has {
			t.Errorf("the store does not have what was put: %v", err)
		}
		m, err := s.Manifest(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		if m.Digest != first || len(m.Files) != 2 || m.Annotations[AnnotationPackage] != "acme/tool" {
			t.Errorf("%+v", m)
		}
		f, ok := m.File("x64")
		if !ok || f.Name != "a.deb" || f.MediaType != MediaTypeDeb || read(t, s, f) != "one" {
			t.Errorf("%+v", f)
		}
		f, _ = m.File("arm64")
		local, err := s.Local(t.Context(), f, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(local)
		if err != nil || string(data) != strings.Repeat("two", 100_000) || local.Size != int64(len(data)) {
			t.Errorf("%d bytes of a local file: %v", len(data), err)
		}
		if err := local.Close(); err != nil {
			t.Error(err)
		}
		if read(t, s, f) != strings.Repeat("two", 100_000) {
			t.Error("closing the local file took the stored one away")
		}
	})
}

// The digest is part of what git and evidence record: it must not change.
func TestManifestDigestIsStable(t *testing.T) {
	_, sum, err := example().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if want := fleet.Digest("sha256:e48e384a7a93046577c55a9ddad9c15794b7029ed16230ca8b54c6f30fe0cc6e"); sum != want {
		t.Errorf("the manifest's digest is %s, was %s", sum, want)
	}
}

func TestMissing(t *testing.T) {
	backends(t, func(t *testing.T, s *Store) {
		none := fleet.DigestOf([]byte("none"))
		if has, err := s.Has(t.Context(), none); err != nil || has {
			t.Errorf("%v, %v", has, err)
		}
		if _, err := s.Manifest(t.Context(), none); fleet.KindOf(err) != fleet.Refused || err == nil {
			t.Errorf("manifest: %v", err)
		}
		if _, err := s.Attach(t.Context(), none, MediaTypeBundle, []byte("x"), nil); fleet.KindOf(err) != fleet.Refused || err == nil {
			t.Errorf("attach: %v", err)
		}
		if _, err := s.Open(t.Context(), fleet.BuiltFile{Digest: none, Size: 4}); fleet.KindOf(err) != fleet.Refused || err == nil {
			t.Errorf("open: %v", err)
		}
		for _, bad := range []fleet.Digest{"", "latest", "sha256:../../etc/passwd", "md5:00"} {
			if _, err := s.Manifest(t.Context(), bad); fleet.KindOf(err) != fleet.Invalid || err == nil {
				t.Errorf("%q: %v", bad, err)
			}
			if _, err := s.Open(t.Context(), fleet.BuiltFile{Digest: bad}); fleet.KindOf(err) != fleet.Invalid || err == nil {
				t.Errorf("open %q: %v", bad, err)
			}
		}
	})
}

// Bytes that are not those of their digest leave no artifact behind.
func TestPutRefusesOtherBytes(t *testing.T) {
	backends(t, func(t *testing.T, s *Store) {
		for name, text := range map[string]string{"altered": "eno", "longer": "one more", "shorter": "on"} {
			a := example()
			a.Files[0].Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
			_, err := s.Put(t.Context(), a)
			if err == nil {
				t.Errorf("%s: accepted", name)
			}
			_, sum, encodeErr := a.Encode()
			if encodeErr != nil {
				t.Fatal(encodeErr)
			}
			if has, err := s.Has(t.Context(), sum); err != nil || has {
				t.Errorf("%s: its manifest is there (%v)", name, err)
			}
		}
	})
}

func TestReferrers(t *testing.T) {
	backends(t, func(t *testing.T, s *Store) {
		subject, err := s.Put(t.Context(), example())
		if err != nil {
			t.Fatal(err)
		}
		other := example()
		other.Annotations[AnnotationVersion] = "2.0"
		second, err := s.Put(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		attach := func(to fleet.Digest, kind, text string) {
			t.Helper()
			if _, err := s.Attach(t.Context(), to, kind, []byte(text), map[string]string{"note": text}); err != nil {
				t.Fatal(err)
			}
		}
		attach(subject, MediaTypeBundle, "provenance")
		attach(subject, MediaTypeBundle, "test")
		attach(subject, MediaTypeBundle, "test")
		attach(subject, "application/x", "else")
		attach(second, MediaTypeBundle, "other")
		for kind, want := range map[string][]string{MediaTypeBundle: {"provenance", "test"}, "application/x": {"else"}, "": {"else", "provenance", "test"}, "application/y": nil} {
			got, err := s.Referrers(t.Context(), subject, kind)
			if err != nil {
				t.Fatal(err)
			}
			texts := map[string]bool{}
			for _, r := range got {
				texts[string(r.Data)] = true
				if r.Annotations["note"] != string(r.Data) {
					t.Errorf("%q is annotated %v", r.Data, r.Annotations)
				}
			}
			if len(got) != len(want) || len(texts) != len(want) {
				t.Errorf("of type %q: %d referrers, want %q", kind, len(got), want)
			}
			for _, w := range want {
				if !texts[w] {
					t.Errorf("of type %q: %q is missing", kind, w)
				}
			}
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	backends(t, func(t *testing.T, s *Store) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				a := example()
				a.Annotations[AnnotationVersion] = strings.Repeat("1", i/2+1)
				if _, err := s.Put(t.Context(), a); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i := range 4 {
			a := example()
			a.Annotations[AnnotationVersion] = strings.Repeat("1", i+1)
			_, sum, err := a.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if has, err := s.Has(t.Context(), sum); err != nil || !has {
				t.Errorf("artifact %d is missing (%v)", i, err)
			}
		}
	})
}

// A registry that lies is found out by the digests.
func TestAlteredAnswers(t *testing.T) {
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	lie := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !lie || r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, r)
		body := bytes.Replace(rec.Body.Bytes(), []byte("o"), []byte("0"), 1)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body)
	}))
	defer server.Close()
	s, err := OpenRegistry(strings.TrimPrefix(server.URL, "http://")+"/x", server.Client(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := s.Put(t.Context(), example())
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Manifest(t.Context(), sum)
	if err != nil {
		t.Fatal(err)
	}
	lie = true
	if _, err := s.Manifest(t.Context(), sum); err == nil {
		t.Error("an altered manifest was read")
	}
	f, _ := m.File("x64")
	r, err := s.Open(t.Context(), f)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if err == nil || fleet.KindOf(err) != fleet.Refused {
		t.Errorf("an altered layer: %v", err)
	}
	if _, err := s.Local(t.Context(), f, t.TempDir()); err == nil {
		t.Error("an altered layer was copied")
	}
}

func TestOpenRegistryRefuses(t *testing.T) {
	for _, ref := range []string{"", "registry.example.com", "registry.example.com/x:latest", "https://registry.example.com/x"} {
		if _, err := OpenRegistry(ref, http.DefaultClient, nil); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%q: %v", ref, err)
		}
	}
	for host, want := range map[string]bool{"localhost:5000": true, "127.0.0.1:5000": true, "[::1]:5000": true, "registry.example.com": false, "10.0.0.1:5000": false} {
		if loopback(host) != want {
			t.Errorf("plain HTTP to %s: %v", host, !want)
		}
	}
}

func TestRegistryLogin(t *testing.T) {
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "mill" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	open := func(password string) error {
		s, err := OpenRegistry(strings.TrimPrefix(server.URL, "http://")+"/x", server.Client(),
			func(context.Context, string) (string, string, error) { return "mill", password, nil })
		if err != nil {
			return err
		}
		_, err = s.Put(t.Context(), example())
		return err
	}
	if err := open("secret"); err != nil {
		t.Error(err)
	}
	if err := open("wrong"); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v", err)
	}
}

// Another program reads the layout.
func TestLayoutIsOneForOras(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := s.Put(t.Context(), example())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Attach(t.Context(), sum, MediaTypeBundle, []byte("bundle"), nil); err != nil {
		t.Fatal(err)
	}
	stock, err := oci.NewFromFS(t.Context(), os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	desc, err := stock.Resolve(t.Context(), string(sum))
	if err != nil {
		t.Fatal(err)
	}
	data, err := content.FetchAll(t.Context(), stock, desc)
	if err != nil || fleet.DigestOf(data) != sum {
		t.Errorf("%v", err)
	}
	before, err := stock.Predecessors(t.Context(), desc)
	if err != nil || len(before) != 1 || before[0].MediaType != ocispec.MediaTypeImageManifest {
		t.Errorf("referrers as others see them: %+v, %v", before, err)
	}
}

// What a killed process leaves behind is no artifact, and the next one mends it.
func TestLayoutAfterAKill(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := example()
	sum, err := s.Put(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func() error{
		"no index":        func() error { return os.Remove(filepath.Join(dir, "index.json")) },
		"half an index":   func() error { return os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"man`), 0o600) },
		"half a layer":    func() error { return os.Truncate(filepath.Join(dir, "blobs", "sha256", a.Files[0].Digest.Hex()), 1) },
		"a part ingested": func() error { return os.WriteFile(filepath.Join(dir, "ingest", "part-1"), []byte("x"), 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		s, err := OpenLayout(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again, err := s.Put(t.Context(), a); err != nil || again != sum {
			t.Errorf("%s: %s, %v", name, again, err)
		}
		m, err := s.Manifest(t.Context(), sum)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, f := range m.Files {
			read(t, s, f)
		}
		if _, err := oci.NewFromFS(t.Context(), os.DirFS(dir)); err != nil {
			t.Errorf("%s: others cannot read the layout: %v", name, err)
		}
	}
}

func TestAlteredOnDisk(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := example()
	sum, err := s.Put(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Manifest(t.Context(), sum)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := m.File("x64")
	path := filepath.Join(dir, "blobs", "sha256", f.Digest.Hex())
	for _, text := range []string{"0ne", "on", "one more", ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); fleet.KindOf(err) != fleet.Refused || err == nil {
			t.Errorf("%q was read: %v", text, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Local(t.Context(), f, t.TempDir()); fleet.KindOf(err) != fleet.Refused || err == nil {
			t.Errorf("%q was opened: %v", text, err)
		}
	}
	manifest := filepath.Join(dir, "blobs", "sha256", sum.Hex())
	data, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifest, bytes.Replace(data, []byte("acme"), []byte("evil"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Manifest(t.Context(), sum); fleet.KindOf(err) != fleet.Refused || err == nil {
		t.Errorf("an altered manifest: %v", err)
	}
}

func TestPutEndsWithItsContext(t *testing.T) {
	s, err := OpenLayout(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, example()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
