package releases

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"
)

// maxKeys is how many keys a YAML document may have: the parser compares each with
// each.
const maxKeys = 1 << 14

// ElectronBuilder reads the latest.yml, latest-mac.yml or latest-linux.yml at the
// address base (electron.build, "Auto Update"; type UpdateInfo of
// builder-util-runtime). It tells one version and SHA-512 digests alone.
func ElectronBuilder(data []byte, base string) ([]Entry, error) {
	type file struct {
		URL    string `yaml:"url"`
		SHA512 string `yaml:"sha512"` // base64
		Size   string `yaml:"size"`
	}
	var doc struct {
		Version string    `yaml:"version"`
		Files   []file    `yaml:"files"`
		Path    string    `yaml:"path"` // before version 19, instead of files
		SHA512  string    `yaml:"sha512"`
		Date    string    `yaml:"releaseDate"`
		Notes   yaml.Node `yaml:"releaseNotes"` // a text, or one for each version
	}
	if err := unmarshalYAML(data, &doc); err != nil {
		return nil, err
	}
	if doc.Version == "" {
		return nil, errNothing
	}
	e := Entry{Version: doc.Version, Published: toldTime(doc.Date)}
	if doc.Notes.Kind == yaml.ScalarNode {
		e.Notes = doc.Notes.Value
	}
	if len(doc.Files) == 0 && doc.Path != "" {
		doc.Files = []file{{URL: doc.Path, SHA512: doc.SHA512}}
	}
	for _, stated := range doc.Files {
		f, err := fileAt(base, stated.URL, "")
		if err != nil {
			return nil, err
		}
		sum, err := base64.StdEncoding.DecodeString(stated.SHA512)
		if err != nil {
			return nil, fmt.Errorf("%q is no SHA-512 in base64", shortly(stated.SHA512))
		}
		if f.SHA512, err = sha512Of(hex.EncodeToString(sum)); err != nil {
			return nil, err
		}
		f.Size, f.Arch = sizeOf(stated.Size), archIn(f.Name)
		e.Files = append(e.Files, f)
	}
	return listed([]Entry{e})
}

// unmarshalYAML reads a document that is one YAML document alone.
func unmarshalYAML(data []byte, into any) (err error) {
	text, _, err := plain(data)
	if err != nil {
		return err
	}
	if len(text) > maxManifest {
		return fmt.Errorf("the document is larger than %d bytes", maxManifest)
	}
	if err := few(text, maxKeys, ":", ",", "?"); err != nil {
		return err
	}
	if trimmed := bytes.TrimSpace(text); trimmed[0] == '<' {
		return errors.New("the answer is a page, not YAML")
	}
	defer func() {
		// The parser panics on some documents that are not YAML.
		if p := recover(); p != nil {
			err = fmt.Errorf("the answer is no YAML: %v", p)
		}
	}()
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the answer is not the YAML that is expected: %w", err)
	}
	return nil
}
