package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"time"
)

// A PackageID is "<publisher>/<package>", the folder below catalog/.
type PackageID string

// Publisher is the first part of the id, the folder of publisher.cue.
func (id PackageID) Publisher() string { p, _, _ := strings.Cut(string(id), "/"); return p }

// Slug is the id with its slash replaced, fit for a branch or file name.
func (id PackageID) Slug() string { return strings.ReplaceAll(string(id), "/", "-") }

// Dir is the package's folder in the repository.
func (id PackageID) Dir() string { return path.Join("catalog", string(id)) }

// A TenantID is "<partner>/<tenant>", the folder below tenants/.
type TenantID string

// Partner is the first part of the id, the folder of partner.cue.
func (id TenantID) Partner() string { p, _, _ := strings.Cut(string(id), "/"); return p }

// Slug is the id with its slash replaced, fit for a file name.
func (id TenantID) Slug() string { return strings.ReplaceAll(string(id), "/", "-") }

// Dir is the tenant's folder in the repository.
func (id TenantID) Dir() string { return path.Join("tenants", string(id)) }

// Shard is the evidence shard that holds the tenant's facts: the first byte of
// SHA-256 of the id, mod 16, as two hex digits ("00" … "0f").
func (id TenantID) Shard() string {
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%02x", sum[0]%16)
}

// A CycleID names a cycle after the ISO week of its cut-off: "2026-W47", with a
// lane "2026-W47-cve-01" where it is not the ordinary week.
type CycleID string

var cyclePattern = regexp.MustCompile(`^[0-9]{4}-W(0[1-9]|[1-4][0-9]|5[0-3])(-(oob|cve|new)-[0-9]{2})?$`)

// Valid reports whether the id has the form of a cycle id.
func (id CycleID) Valid() bool { return cyclePattern.MatchString(string(id)) }

// Dir is the cycle's folder in the repository.
func (id CycleID) Dir() string { return path.Join("schedules/cycles", string(id)) }

// CycleOf is the ordinary cycle of the ISO week that t falls into, in t's own
// location: pass the cut-off in the week's zone.
func CycleOf(t time.Time) CycleID {
	year, week := t.ISOWeek()
	return CycleID(fmt.Sprintf("%04d-W%02d", year, week))
}

// A Digest is "sha256:" and 64 lower-case hex digits.
type Digest string

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Valid reports whether d has the form of a digest.
func (d Digest) Valid() bool { return digestPattern.MatchString(string(d)) }

// Hex is the digest without its algorithm.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), "sha256:") }

// Short is the digest as people read it in a table: algorithm and 12 digits.
func (d Digest) Short() string {
	if len(d) < 19 {
		return string(d)
	}
	return string(d[:19])
}

// DigestOf is the SHA-256 digest of data.
func DigestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// DigestOfReader is the digest of everything that r gives.
func DigestOfReader(r io.Reader) (Digest, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return "", err
	}
	return Digest("sha256:" + hex.EncodeToString(sum.Sum(nil))), nil
}

// DigestJSON is the digest of v's canonical JSON: encoding/json, whose map keys
// are sorted. It panics only if v cannot be marshalled, a programming error.
func DigestJSON(v any) Digest {
	data, err := json.Marshal(v)
	if err != nil {
		panic("fleet: value has no JSON form: " + err.Error())
	}
	return DigestOf(data)
}

// DeriveID is a short stable identifier of the named parts, so that a second
// run finds what the first one made. Parts are length-prefixed: no two lists
// of parts share an id.
func DeriveID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// A Duration is a time.Duration written as CUE writes it: "24h", "90m".
type Duration time.Duration

// Std is the duration as the standard library knows it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String is the duration as it is written in a file.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON writes the duration as a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads a duration string.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}
