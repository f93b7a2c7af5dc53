package factory_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/store"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
)

func (w *buildWorld) claim() factory.Claim {
	return factory.Claim{Trust: w.trust, Repo: w.repo, At: buildTime}
}

func TestVerifyArtifact(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	p := w.make(t, "acme/hello", "24.09")
	proof, err := w.VerifyArtifact(t.Context(), p.Built.Artifact, w.claim())
	if err != nil {
		t.Fatal(err)
	}
	if proof.Package != "acme/hello" || proof.Version != "24.09" || !proof.Release || len(proof.Files) != 1 || proof.Builder != factory.BuilderID {
		t.Errorf("%+v", proof)
	}
	sources := strings.Join(proof.Sources, "\n")
	for _, want := range []string{"https://downloads.example/hello-24.09.tgz", "x64:package/hello.exe", "gitBlob:1111", "gitCommit:"} {
		if !strings.Contains(sources, want) {
			t.Errorf("the sources lack %q:\n%s", want, sources)
		}
	}
}

func refusedFor(t *testing.T, what string, err error, want string) {
	t.Helper()
	if err == nil || fleet.KindOf(err) != fleet.Refused || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want a refusal about %q", what, err, want)
	}
}

func TestVerifyArtifactRefuses(t *testing.T) {
	key := signer(t)
	w := newBuildWorld(t, key)
	hello, setup := w.make(t, "acme/hello", "24.09"), w.make(t, "acme/setup", "24.09")
	verify := func(c factory.Claim) error {
		_, err := w.VerifyArtifact(t.Context(), hello.Built.Artifact, c)
		return err
	}
	c := w.claim()
	c.Trust = trustIn(signer(t))
	refusedFor(t, "another key", verify(c), "trust policy")
	c = w.claim()
	c.At = c.At.AddDate(-1, 0, 0)
	refusedFor(t, "before the key was in force", verify(c), "in force")
	c = w.claim()
	c.Package = "acme/setup"
	refusedFor(t, "another package", verify(c), "not of acme/setup")
	c = w.claim()
	c.Version = "24.10"
	refusedFor(t, "another version", verify(c), "24.10")

	other := newBuildWorld(t, key)
	release := other.repo.Packages["acme/hello"].Releases["24.09"]
	d := release.Installers["x64"]
	d.SHA256 = fleet.DigestOf([]byte("other"))
	release.Installers["x64"] = d
	c = w.claim()
	c.Repo = other.repo
	refusedFor(t, "built from other bytes than merged", verify(c), "than the release states")

	// An artifact to which somebody attached another package's provenance.
	bare, err := store.OpenLayout(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.Store, other.Store = bare, w.Store
	w.Attester = signer(t) // its own provenance is by a key nobody trusts
	again := w.make(t, "acme/hello", "24.09")
	if _, err := bare.Attach(t.Context(), again.Built.Artifact, store.MediaTypeBundle, setup.Built.Provenance, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.VerifyArtifact(t.Context(), again.Built.Artifact, w.claim()); err == nil || fleet.KindOf(err) != fleet.Refused {
		t.Errorf("another package's provenance: %v", err)
	}
	if _, err := w.VerifyArtifact(t.Context(), fleet.DigestOf([]byte("none")), w.claim()); fleet.KindOf(err) != fleet.Refused {
		t.Errorf("no artifact: %v", err)
	}
}

// Every flipped bit of a stored artifact is noticed: in a layer, in the
// manifest, in the bundle.
func TestVerifyNoticesFlippedBits(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	dir := t.TempDir()
	kept, err := store.OpenLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.Store = kept
	p := w.make(t, "acme/hello", "24.09")
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	if err != nil || len(blobs) != 7 { // layer, manifest, empty config, two bundles, their manifests
		t.Fatalf("%d blobs (%v)", len(blobs), err)
	}
	for _, blob := range blobs {
		good, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		if len(good) == 2 {
			continue // the empty config says nothing
		}
		for _, at := range []int{0, len(good) / 3, len(good) / 2, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[at] ^= 1
			if err := os.WriteFile(blob, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := w.VerifyArtifact(t.Context(), p.Built.Artifact, w.claim()); err == nil || fleet.KindOf(err) != fleet.Refused {
				t.Errorf("%s, byte %d: %v", filepath.Base(blob), at, err)
			}
		}
		if err := os.WriteFile(blob, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.VerifyArtifact(t.Context(), p.Built.Artifact, w.claim()); err != nil {
		t.Error(err)
	}
}

func TestVerifyFile(t *testing.T) {
	w := newBuildWorld(t, signer(t))
	hello, setup := w.make(t, "acme/hello", "24.09"), w.make(t, "acme/setup", "24.09")
	local, err := w.Store.Local(t.Context(), hello.Built.Files[0], t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(local.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := local.Close(); err != nil {
		t.Fatal(err)
	}
	verify := func(data []byte, bundle []byte, c factory.Claim) error {
		_, err := factory.VerifyFile(bytes.NewReader(data), bundle, c)
		return err
	}
	if err := verify(data, hello.Built.Provenance, w.claim()); err != nil {
		t.Error(err)
	}
	refusedFor(t, "another package's bundle", verify(data, setup.Built.Provenance, w.claim()), "digest")
	refusedFor(t, "the checksums' bundle", verify(data, hello.SumsBundle, w.claim()), "not a statement")
	flipped := bytes.Clone(data)
	flipped[len(flipped)/2] ^= 1
	refusedFor(t, "a flipped bit", verify(flipped, hello.Built.Provenance, w.claim()), "digest")
	c := w.claim()
	c.Trust = trustIn(signer(t))
	refusedFor(t, "another key", verify(data, hello.Built.Provenance, c), "trust policy")
}
