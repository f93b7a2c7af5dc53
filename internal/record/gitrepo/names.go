package gitrepo

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Bounds on what is read from trees. They are far above any honest repository.
const (
	maxDepth = 64        // folders above a file
	maxPath  = 1024      // bytes of a path
	maxName  = 255       // bytes of one name, the limit of common file systems
	maxFiles = 2_000_000 // files listed by one call
	maxBlob  = 64 << 20  // bytes of one file
)

// CheckPath says why a path is not fit to stand in a tree: it must be
// relative, clean, valid UTF-8, and on no file system lead out of the tree or
// into a .git folder.
func CheckPath(path string) error {
	if path == "" {
		return fmt.Errorf("the path is empty")
	}
	if len(path) > maxPath {
		return fmt.Errorf("path of %d bytes is longer than %d", len(path), maxPath)
	}
	if strings.Count(path, "/") >= maxDepth {
		return fmt.Errorf("path %.40q… lies deeper than %d folders", path, maxDepth)
	}
	for name := range strings.SplitSeq(path, "/") {
		if err := checkName(name); err != nil {
			return fmt.Errorf("path %q: %w", path, err)
		}
	}
	return nil
}

// checkName says why one name is not fit to stand in a tree.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is no name of a file", name)
	case len(name) > maxName:
		return fmt.Errorf("name of %d bytes is longer than %d", len(name), maxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%q is not UTF-8", name)
	case strings.ContainsAny(name, `/\`):
		return fmt.Errorf("%q holds a separator", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%q holds a control character", name)
	case isDotGit(name):
		return fmt.Errorf("%q is git's own folder on some file system", name)
	}
	return nil
}

// isDotGit reports whether a file system may take the name for ".git": Windows
// drops trailing dots and spaces, knows short names and streams, and macOS
// ignores some characters of no width (git's verify_path, path.c).
func isDotGit(name string) bool {
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, name)
	name = strings.ToLower(name)
	name, _, _ = strings.Cut(name, ":")
	name = strings.TrimRight(name, ". ")
	if name == ".git" {
		return true
	}
	number, short := strings.CutPrefix(name, "git~")
	return short && number != "" && strings.Trim(number, "0123456789") == ""
}

// fold is the name as a file system sees it that tells neither case nor
// composed from decomposed letters.
func fold(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return norm.NFC.String(cases.Fold().String(name))
		}
	}
	return strings.ToLower(name)
}

// checkNames checks all names of one folder, also against each other.
func checkNames(entries []entry) error {
	seen := make(map[string]string, len(entries))
	for _, e := range entries {
		if err := checkName(e.name); err != nil {
			return err
		}
		folded := fold(e.name)
		if other, clash := seen[folded]; clash {
			return fmt.Errorf("%q and %q are one name where case does not count", other, e.name)
		}
		seen[folded] = e.name
	}
	return nil
}
