package releases

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/PuerkitoBio/goquery"
)

// pypiFile is a file of a project's page (packaging.python.org/specifications/
// simple-repository-api).
type pypiFile struct {
	Name     string            `json:"filename"`
	URL      string            `json:"url"`
	Hashes   map[string]string `json:"hashes"`
	Yanked   any               `json:"yanked"` // false, true, or why
	Size     int64             `json:"size"`
	Uploaded string            `json:"upload-time"`
}

// PyPI reads a project's page of a Python package index, JSON or HTML. base is
// the page's address: files may be told relative to it. Yanked files are left
// out. A version is as old as its first file.
func PyPI(data []byte, project string, base *url.URL) ([]Entry, error) {
	files, err := pypiFiles(data)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	var out []Entry
	for _, f := range files {
		v := PythonVersion(f.Name, project)
		if v == "" || f.yanked() {
			continue
		}
		told, uploaded, err := f.told(base)
		if err != nil {
			return nil, err
		}
		i, known := at[v]
		if !known {
			if len(out) == maxEntries {
				continue
			}
			i = len(out)
			at[v] = i
			out = append(out, Entry{Version: v, Published: uploaded, Prerelease: pythonPrerelease(v)})
		}
		if !uploaded.IsZero() && uploaded.Before(out[i].Published) {
			out[i].Published = uploaded
		}
		out[i].Files = append(out[i].Files, told)
	}
	return some(out)
}

func pypiFiles(data []byte) ([]pypiFile, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return pypiLinks(data)
	}
	var page struct {
		Files *[]pypiFile `json:"files"`
	}
	if err := decode(data, &page); err != nil {
		return nil, err
	}
	if page.Files == nil {
		return nil, fmt.Errorf("the project's page has no files")
	}
	return *page.Files, nil
}

// pypiLinks reads the page as HTML: an element a for each file, its digest
// behind "#".
func pypiLinks(data []byte) ([]pypiFile, error) {
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("the answer is no page: %w", err)
	}
	var out []pypiFile
	for _, a := range doc.Find("a[href]").EachIter() {
		address, sum, _ := strings.Cut(a.AttrOr("href", ""), "#")
		f := pypiFile{Name: strings.TrimSpace(a.Text()), URL: address}
		if algorithm, hex, ok := strings.Cut(sum, "="); ok {
			f.Hashes = map[string]string{algorithm: hex}
		}
		if why, yanked := a.Attr("data-yanked"); yanked {
			f.Yanked = "yanked: " + why
		}
		out = append(out, f)
	}
	return out, nil
}

func (f pypiFile) yanked() bool {
	switch y := f.Yanked.(type) {
	case bool:
		return y
	case string:
		return y != ""
	}
	return false
}

func (f pypiFile) told(base *url.URL) (File, time.Time, error) {
	ref, err := url.Parse(f.URL)
	if err != nil {
		return File{}, time.Time{}, fmt.Errorf("%q is no address of a file", clip(f.URL))
	}
	out, err := download(f.Name, base.ResolveReference(ref).String())
	if err != nil {
		return File{}, time.Time{}, err
	}
	out.SHA256, out.Size = sha256Hex(f.Hashes["sha256"]), max(f.Size, 0)
	at, err := timeOr(f.Uploaded)
	return out, at, err
}

var pythonName = regexp.MustCompile(`[-_.]+`)

// PythonName is a project's name as indexes spell it in addresses
// (packaging.python.org/specifications/name-normalization).
func PythonName(name string) string {
	return strings.ToLower(pythonName.ReplaceAllString(name, "-"))
}

// PythonVersion is the version in the name of a wheel or source archive of the
// project (packaging.python.org/specifications/binary-distribution-format and
// source-distribution-format), "" for other files.
func PythonVersion(file, project string) string {
	if len(file) > maxText {
		return ""
	}
	if wheel, ok := strings.CutSuffix(file, ".whl"); ok {
		parts := strings.Split(wheel, "-")
		if len(parts) < 5 || len(parts) > 6 || PythonName(parts[0]) != PythonName(project) {
			return ""
		}
		return strings.ReplaceAll(parts[1], "_", "-")
	}
	for _, ending := range []string{".tar.gz", ".zip", ".tar.bz2", ".tar.xz"} {
		source, ok := strings.CutSuffix(file, ending)
		if !ok {
			continue
		}
		// Old archives have hyphens in the name: the version is what follows a
		// hyphen before which the whole name stands.
		for i := range len(source) {
			if source[i] == '-' && PythonName(source[:i]) == PythonName(project) {
				return source[i+1:]
			}
		}
	}
	return ""
}

var pythonEarly = regexp.MustCompile(`(?i)[0-9][-_.]?(a|b|c|rc|alpha|beta|pre|preview|dev)[-_.]?[0-9]*`)

// pythonPrerelease reports whether a version says that it is not final
// (packaging.python.org/specifications/version-specifiers).
func pythonPrerelease(v string) bool {
	public, _, _ := strings.Cut(v, "+")
	return pythonEarly.MatchString(public)
}
