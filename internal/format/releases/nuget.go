package releases

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html/charset"
)

// unlisted is the year that NuGet servers give packages that nobody should find
// any more (learn.microsoft.com/nuget/api/registration-base-url-resource).
const unlisted = 1900

// NuGetService reads a service index (learn.microsoft.com/nuget/api/
// service-index): the addresses of the registrations and of the packages' files,
// which end in "/". registrations is "" when the server has none.
func NuGetService(data []byte) (registrations, packages string, err error) {
	var index struct {
		Resources []struct {
			ID   string          `json:"@id"`
			Type json.RawMessage `json:"@type"`
		} `json:"resources"`
	}
	if err := decode(data, &index); err != nil {
		return "", "", err
	}
	// Later forms of registrations list all that the earlier do, and more.
	forms := []string{"RegistrationsBaseUrl/3.6.0", "RegistrationsBaseUrl/Versioned", "RegistrationsBaseUrl/3.4.0", "RegistrationsBaseUrl/3.0.0-rc", "RegistrationsBaseUrl/3.0.0-beta", "RegistrationsBaseUrl"}
	best := len(forms)
	for _, r := range index.Resources {
		for _, kind := range oneOrMore(r.Type) {
			if i := slices.Index(forms, kind); i >= 0 && i < best {
				best, registrations = i, r.ID
			}
			if kind == "PackageBaseAddress/3.0.0" && packages == "" {
				packages = r.ID
			}
		}
	}
	if packages == "" {
		return "", "", fmt.Errorf("the service index names no PackageBaseAddress/3.0.0")
	}
	slash := func(s string) string { return strings.TrimSuffix(s, "/") + "/" }
	if registrations != "" {
		registrations = slash(registrations)
	}
	return registrations, slash(packages), nil
}

// oneOrMore are the texts of a JSON value that is one or a list of them.
func oneOrMore(raw json.RawMessage) []string {
	var one string
	var more []string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	if json.Unmarshal(raw, &more) != nil {
		return nil
	}
	return more
}

// nugetRegistration is a registration index or a page of one (learn.microsoft.com/
// nuget/api/registration-base-url-resource).
type nugetRegistration struct {
	ID    string `json:"@id"`
	Items []struct {
		ID    string      `json:"@id"`
		Items []nugetLeaf `json:"items"` // of a page inside an index
		nugetLeaf
	} `json:"items"`
}

type nugetLeaf struct {
	Entry *struct {
		Version   string `json:"version"`
		Listed    *bool  `json:"listed"`
		Published string `json:"published"`
	} `json:"catalogEntry"`
	Content string `json:"packageContent"`
}

// NuGetRegistration reads a registration index or one of its pages. pages are
// the addresses of those that the index does not hold itself, oldest first. That
// all is unlisted is no error here: other pages may list more.
func NuGetRegistration(data []byte) (list []Entry, pages []string, err error) {
	var doc nugetRegistration
	if err := decode(data, &doc); err != nil {
		return nil, nil, err
	}
	if len(doc.Items) == 0 {
		return nil, nil, fmt.Errorf("%w: the registration lists no package", errNothing)
	}
	for _, item := range doc.Items {
		leaves := item.Items
		switch {
		case item.Entry != nil:
			leaves = []nugetLeaf{item.nugetLeaf}
		case len(leaves) == 0 && item.ID != "":
			pages = append(pages, item.ID)
		}
		for _, leaf := range leaves {
			e, ok, err := leaf.entry()
			if err != nil {
				return nil, nil, err
			}
			if ok && len(list) < maxEntries {
				list = append(list, e)
			}
		}
	}
	return list, pages, nil
}

// entry is false for packages that are not listed.
func (l nugetLeaf) entry() (e Entry, listed bool, err error) {
	if l.Entry == nil {
		return e, false, fmt.Errorf("a package of the registration has no catalogEntry")
	}
	e.Version = plainNuGet(l.Entry.Version)
	if err := named("a package of the registration", e.Version); err != nil {
		return e, false, err
	}
	e.Prerelease = strings.Contains(e.Version, "-")
	if e.Published, err = timeOr(l.Entry.Published); err != nil {
		return e, false, err
	}
	if l.Content != "" {
		f, err := download("", l.Content)
		if err != nil {
			return e, false, err
		}
		e.Files = []File{f}
	}
	return e, (l.Entry.Listed == nil || *l.Entry.Listed) && e.Published.Year() != unlisted, nil
}

// plainNuGet leaves out what follows "+", which tells builds of a version apart
// and is no part of it (learn.microsoft.com/nuget/concepts/package-versioning).
func plainNuGet(v string) string {
	v, _, _ = strings.Cut(v, "+")
	return v
}

// NuGetVersions reads the list of a package's versions beside its files
// (learn.microsoft.com/nuget/api/package-base-address-resource). packages is
// their address.
func NuGetVersions(data []byte, packages, id string) ([]Entry, error) {
	var doc struct {
		Versions []string `json:"versions"`
	}
	if err := decode(data, &doc); err != nil {
		return nil, err
	}
	id = strings.ToLower(id)
	var out []Entry
	for _, v := range doc.Versions {
		if err := named("the list", v); err != nil {
			return nil, err
		}
		lower := strings.ToLower(v)
		f, err := download("", packages+id+"/"+lower+"/"+id+"."+lower+".nupkg")
		if err != nil {
			return nil, err
		}
		out = append(out, Entry{Version: v, Prerelease: strings.Contains(v, "-"), Files: []File{f}})
	}
	return some(out)
}

// odataFeed is an Atom feed of packages as NuGet 2 servers answer
// FindPackagesById (docs.oasis-open.org/odata and, for the properties,
// learn.microsoft.com/nuget/archive/project-json and Chocolatey's /api/v2/$metadata).
type odataFeed struct {
	XMLName xml.Name `xml:"feed"`
	Entries []struct {
		Content struct {
			Src        string          `xml:"src,attr"`
			Properties odataProperties `xml:"properties"`
		} `xml:"content"`
		Properties odataProperties `xml:"properties"`
	} `xml:"entry"`
	Links []struct {
		Rel  string `xml:"rel,attr"`
		Href string `xml:"href,attr"`
	} `xml:"link"`
}

type odataProperties struct {
	Version    string `xml:"Version"`
	Published  string `xml:"Published"`
	Listed     string `xml:"Listed"`
	Prerelease string `xml:"IsPrerelease"`
	Hash       string `xml:"PackageHash"`
	Algorithm  string `xml:"PackageHashAlgorithm"`
	Size       int64  `xml:"PackageSize"`
	Notes      string `xml:"ReleaseNotes"`
	Page       string `xml:"GalleryDetailsUrl"`
}

// NuGetOData reads one page of the versions of a package from a NuGet 2 server.
// next is the address of the page that follows, "" for none. A page without a
// listed version is no error here: others may have some.
func NuGetOData(data []byte, id string) (list []Entry, next string, err error) {
	if err := shallow(data, charset.NewReaderLabel); err != nil {
		return nil, "", err
	}
	var feed odataFeed
	if err := xml.Unmarshal(data, &feed); err != nil {
		return nil, "", fmt.Errorf("the answer is no feed of packages: %w", err)
	}
	for _, x := range feed.Entries {
		p := x.Properties
		if p.Version == "" {
			p = x.Content.Properties // servers that have no file inside the entry
		}
		if err := named("a package of the feed", p.Version); err != nil {
			return nil, "", err
		}
		e := Entry{Version: p.Version, Prerelease: p.Prerelease == "true", Notes: notes(p.Notes), NotesURL: p.Page}
		if e.Published, err = odataTime(p.Published); err != nil {
			return nil, "", err
		}
		if e.Published.Year() == unlisted || p.Listed == "false" {
			continue
		}
		if x.Content.Src != "" {
			f, err := download(strings.ToLower(id+"."+p.Version)+".nupkg", x.Content.Src)
			if err != nil {
				return nil, "", err
			}
			f.Size = max(p.Size, 0)
			sum, err := base64.StdEncoding.DecodeString(p.Hash)
			switch {
			case err == nil && p.Algorithm == "SHA256":
				f.SHA256 = sha256Bytes(sum)
			case err == nil && p.Algorithm == "SHA512":
				if f.SHA512, err = sha512Of(hex.EncodeToString(sum)); err != nil {
					return nil, "", err
				}
			}
			e.Files = []File{f}
		}
		if len(list) < maxEntries {
			list = append(list, e)
		}
	}
	for _, l := range feed.Links {
		if l.Rel == "next" {
			next = l.Href
		}
	}
	return list, next, nil
}

// odataTime reads Edm.DateTime, which has no zone and means UTC here.
func odataTime(text string) (time.Time, error) {
	if at, err := time.Parse("2006-01-02T15:04:05", text); err == nil {
		return at, nil
	}
	return timeOr(text)
}
