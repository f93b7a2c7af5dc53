package releases

import (
	"fmt"
	"mime"
	"net/textproto"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// CheckHeader tells what is wrong with a header as the place of a version.
func CheckHeader(name string) error {
	changes := []string{"Age", "Content-Length", "Date", "Etag", "Expires", "Last-Modified"}
	if slices.Contains(changes, textproto.CanonicalMIMEHeaderKey(name)) {
		return fleet.Errorf(fleet.Invalid, "releases.header", name,
			"says that something changed, not which version it is: read the version from the file, by installer instead of httpHeader")
	}
	return nil
}

// Header reads the version from a header's value: of Content-Disposition the
// name that the file is saved under (RFC 6266), of others all of it. value is ""
// when the server did not send the header. The header must be one that
// CheckHeader lets pass, else the error is of kind Invalid.
func Header(value, name string) ([]Entry, error) {
	if err := CheckHeader(name); err != nil {
		return nil, err
	}
	if value == "" {
		return nil, fmt.Errorf("the answer has no header %s", name)
	}
	if textproto.CanonicalMIMEHeaderKey(name) == "Content-Disposition" {
		_, params, err := mime.ParseMediaType(value)
		if err != nil || params["filename"] == "" {
			return nil, fmt.Errorf("%s states no file name: %q", name, shortly(value))
		}
		value = params["filename"]
	}
	return listed([]Entry{{Version: value}})
}
