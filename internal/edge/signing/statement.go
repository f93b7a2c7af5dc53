package signing

import (
	"bytes"
	"encoding/json"

	"github.com/packmill/packmill/internal/fleet"
)

// Types of in-toto statements and predicates.
const (
	StatementType       = "https://in-toto.io/Statement/v1"
	PredicateProvenance = "https://slsa.dev/provenance/v1"
	PredicateBOM        = "https://cyclonedx.org/bom"
	PredicateTestResult = "https://in-toto.io/attestation/test-result/v0.1"
)

// A Statement is an in-toto Statement v1. Its JSON is written here rather than
// by the protobuf library, whose output differs from run to run.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Resource      `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// A Resource is an in-toto ResourceDescriptor: bytes by digest, with a name and
// an address. Digest maps an algorithm (sha256, gitBlob) to hex digits.
type Resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
}

// ResourceOf names bytes by their SHA-256 digest.
func ResourceOf(name, uri string, d fleet.Digest) Resource {
	return Resource{Name: name, URI: uri, Digest: map[string]string{"sha256": d.Hex()}}
}

// A ProvenancePredicate is a SLSA provenance v1 predicate, as far as packmill
// states one. It holds no times: the same build gives the same statement.
type ProvenancePredicate struct {
	BuildDefinition struct {
		BuildType            string         `json:"buildType"`
		ExternalParameters   map[string]any `json:"externalParameters"`
		InternalParameters   map[string]any `json:"internalParameters,omitempty"`
		ResolvedDependencies []Resource     `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID      string            `json:"id"`
			Version map[string]string `json:"version,omitempty"`
		} `json:"builder"`
	} `json:"runDetails"`
}

// A Provenance says how an artifact came to be.
type Provenance struct {
	Subjects   []Resource        // built files, and the manifest that holds them
	Builder    string            // URI of who built
	Versions   map[string]string // of the builder's parts
	BuildType  string            // URI of the kind of build
	Package    fleet.PackageID
	Version    string
	Parameters map[string]any // internal ones: format versions
	Materials  []Resource     // installers, the release file
}

// Statement is the provenance as an in-toto statement.
func (p Provenance) Statement() ([]byte, error) {
	var pred ProvenancePredicate
	def := &pred.BuildDefinition
	def.BuildType = p.BuildType
	def.ExternalParameters = map[string]any{"package": string(p.Package), "version": p.Version}
	def.InternalParameters = p.Parameters
	def.ResolvedDependencies = p.Materials
	pred.RunDetails.Builder.ID = p.Builder
	pred.RunDetails.Builder.Version = p.Versions
	return statement(p.Subjects, PredicateProvenance, pred)
}

// ParseProvenance reads the predicate of a provenance statement.
func ParseProvenance(s Statement) (ProvenancePredicate, error) {
	var p ProvenancePredicate
	if s.PredicateType != PredicateProvenance {
		return p, fleet.Errorf(fleet.Refused, "signing.verify", "", "the statement is %q, not provenance", s.PredicateType)
	}
	if err := json.Unmarshal(s.Predicate, &p); err != nil {
		return p, fleet.Errorf(fleet.Refused, "signing.verify", "", "the provenance cannot be read: %w", err)
	}
	return p, nil
}

// BOMStatement says what subjects are made of: an in-toto statement whose
// predicate is a CycloneDX document.
func BOMStatement(subjects []Resource, document []byte) ([]byte, error) {
	return statement(subjects, PredicateBOM, json.RawMessage(document))
}

// ParseBOM is the CycloneDX document of a statement.
func ParseBOM(s Statement) ([]byte, error) {
	if s.PredicateType != PredicateBOM {
		return nil, fleet.Errorf(fleet.Refused, "signing.verify", "", "the statement is %q, no bill of materials", s.PredicateType)
	}
	return s.Predicate, nil
}

// A TestResult says how an artifact fared in one matrix cell.
type TestResult struct {
	Subjects      []Resource
	Passed        bool
	Configuration []Resource // what the cell ran on
	PassedTests   []string   // named by cell: "windows-11/x64/install"
	WarnedTests   []string   // found something that people should look at
	FailedTests   []string
	Logs          []Resource // what the tests' programs wrote, named like the tests
}

// Statement is the result as an in-toto statement. Logs are a field of our own,
// which the predicate's readers pass over (in-toto attestation framework,
// "parsing rules").
func (r TestResult) Statement() ([]byte, error) {
	result := "FAILED"
	switch {
	case r.Passed && len(r.WarnedTests) > 0:
		result = "WARNED"
	case r.Passed:
		result = "PASSED"
	}
	return statement(r.Subjects, PredicateTestResult, struct {
		Result        string     `json:"result"`
		Configuration []Resource `json:"configuration"`
		PassedTests   []string   `json:"passedTests,omitempty"`
		WarnedTests   []string   `json:"warnedTests,omitempty"`
		FailedTests   []string   `json:"failedTests,omitempty"`
		Logs          []Resource `json:"logs,omitempty"`
	}{result, r.Configuration, r.PassedTests, r.WarnedTests, r.FailedTests, r.Logs})
}

func statement(subjects []Resource, predicateType string, predicate any) ([]byte, error) {
	body, err := marshal(predicate)
	if err != nil {
		return nil, err
	}
	return marshal(Statement{StatementType, subjects, predicateType, body})
}

// marshal is encoding/json without its HTML escapes, which have no place in a
// file that people read.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
