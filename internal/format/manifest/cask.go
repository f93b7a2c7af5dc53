package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// caskFile is the part of a cask that is read (formulae.brew.sh/docs/api).
type caskFile struct {
	Token      string                     `json:"token"`
	Names      []string                   `json:"name"`
	Homepage   string                     `json:"homepage"`
	URL        string                     `json:"url"`
	Version    string                     `json:"version"`
	Artifacts  []json.RawMessage          `json:"artifacts"`
	DependsOn  json.RawMessage            `json:"depends_on"`
	Updates    *bool                      `json:"auto_updates"`
	Variations map[string]json.RawMessage `json:"variations"`
}

// caskVariation is what differs on another system.
type caskVariation struct {
	URL     string `json:"url"`
	Version string `json:"version"`
}

// caskNeeds are requirements; a later version of the API may spell them in a way
// that is not known, and they are then passed over.
type caskNeeds struct {
	MacOS map[string]oneOrMore `json:"macos"`
	Arch  []struct {
		Type string `json:"type"`
	} `json:"arch"`
}

// Cask reads a cask. name says where it was read.
func Cask(name string, data []byte) (*fleet.Manifest, error) {
	var f caskFile
	if err := decodeJSON(data, &f); err != nil {
		return nil, err
	}
	if f.Token == "" || f.URL == "" || f.Version == "" {
		return nil, errors.New("is no cask: token, url and version must be there")
	}
	m := &fleet.Manifest{Kind: fleet.ManifestCask, Read: []string{name}, ID: f.Token, Name: f.Token, Version: f.Version, Homepage: f.Homepage, Updates: f.Updates != nil && *f.Updates}
	if len(f.Names) > 0 {
		m.Name = f.Names[0]
	}
	o := fleet.Offer{Platform: "macos", URL: f.URL, Arch: "universal"}
	if err := f.artifacts(&o); err != nil {
		return nil, err
	}
	var needs caskNeeds
	if len(f.DependsOn) > 0 && json.Unmarshal(f.DependsOn, &needs) == nil {
		o.OS = needs.MacOS[">="].first()
		switch {
		case len(needs.Arch) != 1:
		case needs.Arch[0].Type == "arm":
			o.Arch = "arm64"
		case needs.Arch[0].Type == "intel":
			o.Arch = "x64"
		}
	}
	m.Installers = f.both(o)
	for i := range m.Installers {
		if err := checkOffer(&m.Installers[i]); err != nil {
			return nil, err
		}
	}
	return m, texts(map[string]*string{"token": &m.ID, "name": &m.Name, "version": &m.Version, "homepage": &m.Homepage})
}

// artifacts reads what is installed, and what removing it takes.
func (f caskFile) artifacts(o *fleet.Offer) error {
	if len(f.Artifacts) > maxInstallers {
		return fmt.Errorf("%d artifacts are listed; %d are read", len(f.Artifacts), maxInstallers)
	}
	for _, raw := range f.Artifacts {
		var artifact map[string]json.RawMessage
		if json.Unmarshal(raw, &artifact) != nil {
			continue // a form of before 2023
		}
		var names oneOrMore
		switch {
		case artifact["pkg"] != nil:
			if err := json.Unmarshal(artifact["pkg"], &names); err != nil {
				return err
			}
			o.Type = "pkg"
			o.Member = names.first()
		case artifact["app"] != nil && o.Type == "":
			o.Type = "app"
		case artifact["uninstall"] != nil:
			var steps []struct {
				Receipts oneOrMore `json:"pkgutil"`
				Quits    oneOrMore `json:"quit"`
			}
			if json.Unmarshal(artifact["uninstall"], &steps) != nil {
				continue
			}
			for _, s := range steps {
				o.Receipts, o.Quits = append(o.Receipts, s.Receipts...), append(o.Quits, s.Quits...)
			}
		}
	}
	o.Receipts, o.Quits = unique(o.Receipts), unique(o.Quits)
	ext := strings.ToLower(path.Ext(fileOf(o.URL)))
	switch {
	case o.Type == "pkg" && ext != ".dmg" && ext != ".zip":
		o.Member = "" // the file itself
	case o.Type == "pkg" && ext == ".zip":
	case ext == ".dmg":
		o.Type = "dmg"
	case o.Type == "":
		o.Type = "archive"
	}
	return nil
}

// both are the installers of both processors where they differ: the cask's own
// values are those of the newest macOS on one, and a variation has the other's.
func (f caskFile) both(o fleet.Offer) []fleet.Offer {
	for _, name := range slices.Sorted(maps.Keys(f.Variations)) {
		var v caskVariation
		if strings.HasSuffix(name, "_linux") || json.Unmarshal(f.Variations[name], &v) != nil {
			continue
		}
		if v.URL == "" || v.URL == f.URL || v.Version != "" && v.Version != f.Version {
			continue // an older system's, or the same file
		}
		other := o
		other.URL = v.URL
		if strings.HasPrefix(name, "arm64_") {
			o.Arch, other.Arch = "x64", "arm64"
		} else {
			o.Arch, other.Arch = "arm64", "x64"
		}
		return []fleet.Offer{o, other}
	}
	return []fleet.Offer{o}
}

// fileOf is the last part of an address, without query and fragment.
func fileOf(address string) string {
	address, _, _ = strings.Cut(address, "#")
	address, _, _ = strings.Cut(address, "?")
	return path.Base(address)
}

func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) && len(out) < maxList {
			out = append(out, s)
		}
	}
	return out
}
