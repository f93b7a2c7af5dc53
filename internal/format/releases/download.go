package releases

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// download is a file at an address, under its name or, when there is none, the
// last part of the address. Addresses that no installer could be fetched from
// are an error.
func download(name, address string) (File, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(address) > maxText {
		return File{}, fmt.Errorf("%q is no address of a file", clip(address))
	}
	if name == "" {
		if name = path.Base(u.Path); name == "/" || name == "." {
			name = ""
		}
	}
	if len(name) > maxText {
		return File{}, fmt.Errorf("a file's name has %d bytes", len(name))
	}
	return File{Name: name, URL: address}, nil
}

// sha256Hex is a digest written in hexadecimal digits of either case, "" when
// the text is none.
func sha256Hex(text string) fleet.Digest {
	if d := fleet.Digest("sha256:" + strings.ToLower(text)); d.Valid() {
		return d
	}
	return ""
}

// sha256Bytes is a digest from its 32 bytes, "" when there are not 32.
func sha256Bytes(sum []byte) fleet.Digest { return sha256Hex(hex.EncodeToString(sum)) }

// decode reads a JSON document into v.
func decode(data []byte, v any) error {
	text, _, err := plain(data)
	if err != nil {
		return err
	}
	if err := few(text, maxValues, ":", ","); err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("the answer is no document of the expected form: %w", err)
	}
	return nil
}

// timeOr is the instant that a text tells, zero when it is empty.
func timeOr(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return parseTime(text)
}

// named is an error unless the text can be a version: there, and not too long.
func named(what, text string) error {
	if text == "" || len(text) > maxText {
		return fmt.Errorf("%s has no version, or one of %d bytes", what, len(text))
	}
	return nil
}

func clip(text string) string { return strings.ToValidUTF8(text[:min(len(text), 80)], "") }

func notes(text string) string { return strings.ToValidUTF8(text[:min(len(text), maxNotes)], "") }
