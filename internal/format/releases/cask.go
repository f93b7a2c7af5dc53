package releases

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A cask is a document of Homebrew's JSON API (formulae.brew.sh/docs/api), as far
// as it is read. What it says holds for a Mac with Apple's processor and the
// newest system; variations say what differs elsewhere, by the system's name:
// "sonoma" for Intel, "arm64_sonoma", "x86_64_linux".
type cask struct {
	caskFile
	Token         string              `json:"token"`
	Disabled      bool                `json:"disabled"`
	DisableReason string              `json:"disable_reason"`
	DisableDate   string              `json:"disable_date"`
	Variations    map[string]caskFile `json:"variations"`
}

type caskFile struct {
	Version string `json:"version"`
	URL     string `json:"url"`
	SHA256  string `json:"sha256"` // or "no_check"
}

// Cask reads a Homebrew cask. A version may be of several parts: "4.2,1702".
// Homebrew keeps deprecated casks current until it disables them; a disabled one
// is an error, since nobody follows the vendor for it any more.
func Cask(data []byte, token string) ([]Entry, error) {
	var doc cask
	if err := unmarshalJSON(data, &doc); err != nil {
		return nil, err
	}
	switch {
	case doc.Token != token:
		return nil, fmt.Errorf("the document is about the cask %q", shortly(doc.Token))
	case doc.Disabled:
		return nil, fmt.Errorf("the cask %s was disabled by Homebrew on %s: %s", token, shortly(doc.DisableDate), shortly(doc.DisableReason))
	case doc.Version == "" || doc.URL == "":
		return nil, errNothing
	}
	base, err := doc.file()
	if err != nil {
		return nil, err
	}
	out := []Entry{{Version: doc.Version, Files: []File{base}}}
	for _, system := range slices.Sorted(maps.Keys(doc.Variations)) {
		if strings.HasPrefix(system, "arm64_") || strings.HasSuffix(system, "_linux") {
			continue // an older system, or another platform
		}
		v := doc.Variations[system]
		if v.URL == "" && v.SHA256 == "" && v.Version == "" {
			continue // the same file, with other requirements
		}
		if v.Version == "" {
			v.Version = doc.Version
		}
		if v.URL == "" {
			v.URL = doc.URL
		}
		f, err := v.file()
		if err != nil {
			return nil, err
		}
		if f.URL == base.URL {
			continue
		}
		out[0].Files[0].Arch, f.Arch = "arm64", "x64"
		out = append(out, Entry{Version: v.Version, Files: []File{f}})
	}
	return listed(merged(out))
}

func (c caskFile) file() (f File, err error) {
	if f, err = fileAt("https://formulae.brew.sh/", c.URL, ""); err != nil {
		return f, err
	}
	if c.SHA256 != "no_check" {
		f.SHA256, err = sha256Of(c.SHA256)
	}
	return f, err
}
