package signing

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/testreq"
)

// cosign is stock cosign: what PACKMILL_COSIGN names, or the one on PATH.
func cosign(t *testing.T) func(args ...string) ([]byte, error) {
	t.Helper()
	path := os.Getenv("PACKMILL_COSIGN")
	if path == "" {
		path = testreq.Program(t, "cosign")
	}
	return func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		return cmd.CombinedOutput()
	}
}

func TestStockCosignAccepts(t *testing.T) {
	run := cosign(t)
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	k := newKey(t)
	artifact := []byte("artifact")
	sums := []byte(fleet.DigestOf(artifact).Hex() + "  setup.intunewin\n")
	blob, err := k.SignBlob(t.Context(), sums)
	if err != nil {
		t.Fatal(err)
	}
	text, err := exampleProvenance(artifact).Statement()
	if err != nil {
		t.Fatal(err)
	}
	provenance, err := k.SignStatement(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	result, err := TestResult{Subjects: []Resource{ResourceOf("setup.intunewin", "", fleet.DigestOf(artifact))}, Passed: true}.Statement()
	if err != nil {
		t.Fatal(err)
	}
	tested, err := k.SignStatement(t.Context(), result)
	if err != nil {
		t.Fatal(err)
	}
	public, other := put("local.pub", []byte(k.PublicPEM())), put("other.pub", []byte(newKey(t).PublicPEM()))
	file, sumsFile, wrong := put("setup.intunewin", artifact), put("SHA256SUMS", sums), put("wrong", []byte("artifacT"))
	b, p, r := put("k.json", blob), put("p.json", provenance), put("r.json", tested)
	attest := func(bundle, key string, more ...string) []string {
		return append([]string{"verify-blob-attestation", "--bundle", bundle, "--key", key, "--insecure-ignore-tlog"}, more...)
	}
	for name, c := range map[string]struct {
		args []string
		ok   bool
	}{
		"checksums":             {[]string{"verify-blob", "--bundle", b, "--key", public, "--insecure-ignore-tlog", sumsFile}, true},
		"checksums, other file": {[]string{"verify-blob", "--bundle", b, "--key", public, "--insecure-ignore-tlog", wrong}, false},
		"provenance":            {attest(p, public, "--type", "slsaprovenance1", file), true},
		"provenance by digest":  {attest(p, public, "--type", "slsaprovenance1", "--digest", fleet.DigestOf(artifact).Hex(), "--digestAlg", "sha256"), true},
		"other artifact":        {attest(p, public, "--type", "slsaprovenance1", wrong), false},
		"other key":             {attest(p, other, "--type", "slsaprovenance1", file), false},
		"other type":            {attest(r, public, "--type", "slsaprovenance1", file), false},
		"test result":           {attest(r, public, "--type", PredicateTestResult, file), true},
	} {
		if out, err := run(c.args...); (err == nil) != c.ok {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// The statements are read by the specification's own types.
func TestStatementsAreWhatInTotoMeans(t *testing.T) {
	decode := func(text []byte, predicate proto.Message) {
		t.Helper()
		var s intoto.Statement
		if err := protojson.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
		raw, err := json.Marshal(s.GetPredicate().AsMap())
		if err != nil {
			t.Fatal(err)
		}
		if err := protojson.Unmarshal(raw, predicate); err != nil {
			t.Error(err)
		}
	}
	text, err := exampleProvenance([]byte("x")).Statement()
	if err != nil {
		t.Fatal(err)
	}
	var provenance slsa.Provenance
	decode(text, &provenance)
	if err := provenance.Validate(); err != nil {
		t.Error(err)
	}
	text, err = TestResult{
		Subjects: []Resource{ResourceOf("a", "", fleet.DigestOf(nil))}, FailedTests: []string{"wine/x64/install"},
		Configuration: []Resource{ResourceOf("cell", "", fleet.DigestOf([]byte("wine")))},
	}.Statement()
	if err != nil {
		t.Fatal(err)
	}
	var result testresult.TestResult
	decode(text, &result)
	if result.GetResult() != "FAILED" || len(result.GetFailedTests()) != 1 {
		t.Errorf("read back %v", &result)
	}
}
