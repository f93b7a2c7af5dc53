package releases

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html/charset"
)

// An RPMIndex is where the list of packages of a repository is.
type RPMIndex struct {
	Path   string // below the repository: "repodata/…-primary.xml.gz"
	SHA256 string // of the file as it is served, in hexadecimal digits
}

// RPMRepository reads repomd.xml (github.com/rpm-software-management/createrepo_c;
// rpm-metadata). A list whose SHA-256 it does not state is an error.
func RPMRepository(data []byte) (RPMIndex, error) {
	if err := shallow(data, charset.NewReaderLabel); err != nil {
		return RPMIndex{}, err
	}
	var doc struct {
		XMLName xml.Name `xml:"repomd"`
		Data    []struct {
			Type     string `xml:"type,attr"`
			Checksum struct {
				Type string `xml:"type,attr"`
				Text string `xml:",chardata"`
			} `xml:"checksum"`
			Location struct {
				Href string `xml:"href,attr"`
			} `xml:"location"`
		} `xml:"data"`
	}
	if err := xml.Unmarshal(data, &doc); err != nil {
		return RPMIndex{}, fmt.Errorf("the answer is no repomd.xml: %w", err)
	}
	for _, d := range doc.Data {
		if d.Type != "primary" {
			continue
		}
		sum := sha256Hex(strings.TrimSpace(d.Checksum.Text))
		at := below(d.Location.Href)
		switch {
		case d.Checksum.Type != "sha256" || sum == "":
			return RPMIndex{}, fmt.Errorf("repomd.xml states no SHA-256 of its list of packages, but a %q", clip(d.Checksum.Type))
		case at == "":
			return RPMIndex{}, fmt.Errorf("the list of packages is not below the repository: %q", clip(d.Location.Href))
		}
		return RPMIndex{Path: at, SHA256: strings.TrimPrefix(string(sum), "sha256:")}, nil
	}
	return RPMIndex{}, errors.New("repomd.xml names no list of packages (primary)")
}

// below is a path below a repository, "" when it leads elsewhere.
func below(p string) string {
	p = strings.TrimPrefix(p, "./")
	if p == "" || len(p) > maxText || strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.HasPrefix(p, "..") || strings.ContainsAny(p, "?#\\ ") {
		return ""
	}
	return p
}

// rpmPackage is a package of the list.
type rpmPackage struct {
	Name    string `xml:"name"`
	Arch    string `xml:"arch"`
	Version struct {
		Epoch   string `xml:"epoch,attr"`
		Version string `xml:"ver,attr"`
		Release string `xml:"rel,attr"`
	} `xml:"version"`
	Checksum struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	} `xml:"checksum"`
	Time struct {
		Build string `xml:"build,attr"`
	} `xml:"time"`
	Size struct {
		Package string `xml:"package,attr"`
	} `xml:"size"`
	Location struct {
		Base string `xml:"base,attr"`
		Href string `xml:"href,attr"`
	} `xml:"location"`
}

// maxRPM is more than one package's part of the list has: those that list
// thousands of files have some hundred KiB.
const maxRPM = 4 << 20

// RPMPackages reads the list of a repository's packages (primary.xml, unpacked),
// by "name arch". base is the repository's address. Packages whose file or
// version is not told are left out; source packages, too.
func RPMPackages(r io.Reader, base string) (map[string][]Entry, error) {
	in := &metered{r: r}
	dec := xml.NewDecoder(in)
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	out := map[string][]Entry{}
	inside := false
	for {
		in.left = maxRPM
		token, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF) && inside:
			return out, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("the list of packages is empty")
		case err != nil:
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		start, ok := token.(xml.StartElement)
		switch {
		case !ok:
		case !inside && start.Name.Local != "metadata":
			return nil, fmt.Errorf("the list of packages begins with <%s>", clip(start.Name.Local))
		case !inside:
			inside = true
		case start.Name.Local != "package":
			err = dec.Skip()
		default:
			var p rpmPackage
			if err = dec.DecodeElement(&p, &start); err != nil {
				break
			}
			if e, ok := p.entry(base); ok {
				key := p.Name + " " + p.Arch
				out[key] = append(out[key], e)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
	}
}

func (p rpmPackage) entry(base string) (Entry, bool) {
	at, v := below(p.Location.Href), p.Version.Version
	if at == "" || v == "" || p.Name == "" || p.Arch == "src" || p.Location.Base != "" {
		return Entry{}, false
	}
	if p.Version.Release != "" {
		v += "-" + p.Version.Release
	}
	if p.Version.Epoch != "" && p.Version.Epoch != "0" {
		v = p.Version.Epoch + ":" + v
	}
	address, err := url.JoinPath(base, at)
	if err != nil || len(v) > maxText {
		return Entry{}, false
	}
	f, err := download("", address)
	if err != nil {
		return Entry{}, false
	}
	f.Type, f.Arch = "rpm", rpmArch(p.Arch)
	if n, err := strconv.ParseInt(p.Size.Package, 10, 64); err == nil && n > 0 {
		f.Size = n
	}
	if p.Checksum.Type == "sha256" {
		f.SHA256 = sha256Hex(strings.TrimSpace(p.Checksum.Text))
	}
	e := Entry{Version: v, Files: []File{f}}
	if n, err := strconv.ParseInt(p.Time.Build, 10, 64); err == nil && n > 0 && n < 1<<40 {
		e.Published = time.Unix(n, 0).UTC()
	}
	return e, true
}

// rpmArch is an architecture as packages spell it; "noarch" says nothing.
func rpmArch(arch string) string {
	switch arch {
	case "x86_64":
		return "x64"
	case "aarch64":
		return "arm64"
	case "i386", "i486", "i586", "i686":
		return "x86"
	case "noarch":
		return ""
	}
	return arch
}

// metered is a reader with an allowance: a single token must not fill the
// memory, whatever an index unpacks to.
type metered struct {
	r    io.Reader
	left int
}

func (m *metered) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, fmt.Errorf("one package has more than %d bytes", maxRPM)
	}
	n, err := m.r.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}
