package version

import (
	"fmt"
	"path"

	"github.com/packmill/packmill/internal/fleet"
)

// Allowed reports whether version matches the glob, "24.*" for example; the
// empty glob allows everything. A malformed glob is Invalid.
func Allowed(glob, version string) (bool, error) {
	if glob == "" {
		return true, nil
	}
	ok, err := path.Match(glob, version)
	if err != nil {
		return false, fleet.Errorf(fleet.Invalid, "version.allowed", "", "malformed pattern %q", glob)
	}
	return ok, nil
}

// Unwanted is why the upstream's rules keep a version out, "" when they do not:
// it is outside allowed, on the list to ignore, or a pre-release where none is
// wanted. Of a text that the scheme cannot read only the patterns are asked. A
// malformed pattern keeps everything out.
func Unwanted(u fleet.Upstream, text string) string {
	allowed, err := Allowed(u.Allowed, text)
	if err != nil {
		return err.Error()
	}
	if !allowed {
		return fmt.Sprintf("%s is not among the allowed versions %q", text, u.Allowed)
	}
	for _, glob := range u.Ignore {
		ignored, err := path.Match(glob, text)
		if err != nil {
			return fmt.Sprintf("malformed pattern %q among the versions to ignore", glob)
		}
		if ignored {
			return fmt.Sprintf("%s is among the versions to ignore: %q", text, glob)
		}
	}
	if v, err := SchemeOf(u).Parse(text); err == nil && v.Prerelease() && !u.Prerelease {
		return text + " is a pre-release"
	}
	return ""
}
