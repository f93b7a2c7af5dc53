package releases

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// OmahaRequest is the update check that asks which version an application should
// have when none is installed (github.com/google/omaha, doc/ServerProtocolV3.md).
// It has no id of a request, session or machine: the same question is the same
// bytes, and counts as nobody's device.
func OmahaRequest(f fleet.Omaha) ([]byte, error) {
	type osElement struct {
		Platform string `xml:"platform,attr"`
		Version  string `xml:"version,attr"`
		Arch     string `xml:"arch,attr"`
	}
	type app struct {
		ID      string   `xml:"appid,attr"`
		Version string   `xml:"version,attr"`
		AP      string   `xml:"ap,attr,omitempty"`
		Check   struct{} `xml:"updatecheck"`
	}
	data, err := xml.Marshal(struct {
		XMLName  xml.Name  `xml:"request"`
		Protocol string    `xml:"protocol,attr"`
		Client   string    `xml:"version,attr"`
		Machine  string    `xml:"ismachine,attr"`
		OS       osElement `xml:"os"`
		App      app       `xml:"app"`
	}{
		Protocol: "3.0", Client: "packmill-1", Machine: "1",
		OS: osElement{f.Platform, f.OSVersion, f.Arch}, App: app{ID: f.App, Version: "0.0.0.0", AP: f.AP},
	})
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), data...), nil
}

// Omaha reads the answer to an update check about an application. Its files are
// the packages of the manifest, at the first of the addresses that is https.
func Omaha(data []byte, id string) ([]Entry, error) {
	var doc struct {
		Apps []omahaApp `xml:"app"`
	}
	if err := unmarshalXML(data, "response", &doc); err != nil {
		return nil, err
	}
	for _, app := range doc.Apps {
		if strings.EqualFold(app.ID, id) {
			return app.entry()
		}
	}
	return nil, fmt.Errorf("the server's answer is not about %s", id)
}

type omahaApp struct {
	ID     string `xml:"appid,attr"`
	Status string `xml:"status,attr"`
	Check  struct {
		Status string `xml:"status,attr"`
		URLs   []struct {
			Codebase string `xml:"codebase,attr"`
		} `xml:"urls>url"`
		Manifest struct {
			Version  string `xml:"version,attr"`
			Packages []struct {
				Name   string `xml:"name,attr"`
				SHA256 string `xml:"hash_sha256,attr"`
				Size   string `xml:"size,attr"`
			} `xml:"packages>package"`
		} `xml:"manifest"`
	} `xml:"updatecheck"`
}

func (a omahaApp) entry() ([]Entry, error) {
	switch {
	case a.Status != "ok":
		return nil, fmt.Errorf("the server answers %q about the application", shortly(a.Status))
	case a.Check.Status != "ok":
		return nil, fmt.Errorf("the server offers no version: its update check says %q", shortly(a.Check.Status))
	case a.Check.Manifest.Version == "":
		return nil, errors.New("the server's manifest states no version")
	}
	e := Entry{Version: a.Check.Manifest.Version}
	for _, url := range a.Check.URLs {
		if !strings.HasPrefix(url.Codebase, "https://") {
			continue
		}
		for _, p := range a.Check.Manifest.Packages {
			f, err := fileAt(strings.TrimSuffix(url.Codebase, "/")+"/", "./"+p.Name, p.Name)
			if err != nil {
				return nil, err
			}
			if f.SHA256, err = sha256Of(p.SHA256); err != nil {
				return nil, err
			}
			f.Size = sizeOf(p.Size)
			e.Files = append(e.Files, f)
		}
		break
	}
	return listed([]Entry{e})
}
