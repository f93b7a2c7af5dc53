package releases

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Checksums reads what a file of checksums states of the download of a name:
// its SHA-256, its SHA-512 in lower case hexadecimal, or both, told apart by their
// length; one that is not stated is empty. Lines are as coreutils' sha256sum writes
// them ("<hex>  name", "<hex> *name"), or as BSD's sha256 and openssl do ("SHA256
// (name) = <hex>"). Of names that are paths the last part counts. A file that is
// one digest and nothing else is of any download. Lines of other forms, of other
// files and of other algorithms are passed over; two that state different digests
// of the name are an error, as is none.
func Checksums(data []byte, name string) (fleet.Digest, string, error) {
	if len(data) > maxManifest {
		return "", "", fmt.Errorf("the file of checksums is larger than %d bytes", maxManifest)
	}
	text, _, err := plain(data)
	if err != nil {
		return "", "", err
	}
	var s sums
	if s.add(strings.TrimSpace(string(text))) {
		return s.sha256, s.sha512, nil
	}
	if name == "" {
		return "", "", fmt.Errorf("the download's address ends in no file name that a checksum could be of")
	}
	plainLine := regexp.MustCompile(`^([0-9A-Fa-f]{64,128})[ \t]+\*?(\S.*)$`)
	tagged := regexp.MustCompile(`^SHA(?:2-)?(?:256|512) ?\((.+)\) ?= ?([0-9A-Fa-f]{64,128})$`)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		of, sum := "", ""
		if m := plainLine.FindStringSubmatch(line); m != nil {
			sum, of = m[1], m[2]
		} else if m := tagged.FindStringSubmatch(line); m != nil {
			of, sum = m[1], m[2]
		}
		if of[strings.LastIndexAny(of, `/\`)+1:] != name {
			continue
		}
		if before := s; s.add(sum) && before.against(s) {
			return "", "", fmt.Errorf("two digests of %s are stated", clip(name))
		}
	}
	if s == (sums{}) {
		return "", "", fmt.Errorf("neither a SHA-256 nor a SHA-512 of %s is stated", clip(name))
	}
	return s.sha256, s.sha512, nil
}

// sums are the digests found so far.
type sums struct {
	sha256 fleet.Digest
	sha512 string
}

// add takes a digest in hexadecimal; ok is false when it is of neither kind.
func (s *sums) add(text string) (ok bool) {
	if d := sha256Hex(text); d != "" {
		s.sha256 = d
		return true
	}
	if long, err := sha512Of(text); err == nil && long != "" {
		s.sha512 = long
		return true
	}
	return false
}

// against reports whether the other states a digest of a kind otherwise.
func (s sums) against(o sums) bool {
	return s.sha256 != "" && s.sha256 != o.sha256 || s.sha512 != "" && s.sha512 != o.sha512
}
