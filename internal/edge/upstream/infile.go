package upstream

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/msi"
	"github.com/packmill/packmill/internal/format/pe"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/format/sniff"
	"github.com/packmill/packmill/internal/format/xar"
)

// installerLimit is for the download of an installer whose version is read: some
// gigabytes over a slow line.
const installerLimit = 30 * time.Minute

// inFile reads the version that an installer carries. The installer is downloaded
// only when its server says that it changed; of the answer the version alone is
// kept.
func (c *Client) inFile(ctx context.Context, f fleet.InFile) ([]releases.Entry, error) {
	host, err := hostIn(f.URL)
	if err != nil {
		return nil, err
	}
	version, err := c.get(ctx, query{
		url: f.URL, header: map[string]string{"Accept-Encoding": "identity"}, client: c.guarded.Limit(maxDownload), hosts: []string{host},
		kept: "version by " + f.Read, limit: installerLimit,
		keep: func(resp *http.Response) ([]byte, error) { return carried(resp.Body, f) },
	})
	if err != nil {
		return nil, err
	}
	return []releases.Entry{{Version: string(version)}}, nil
}

// carried is the version inside an installer, which is read to the end: a file
// that broke off says nothing.
func carried(body io.Reader, f fleet.InFile) (version []byte, err error) {
	file, err := os.CreateTemp("", "packmill-installer-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	size, err := io.Copy(file, body)
	if err != nil {
		return nil, err
	}
	text, err := versionIn(file, size, f.Read)
	if err != nil {
		kind, readErr := sniff.File(file, size)
		if readErr != nil {
			return nil, readErr
		}
		if advice := kind.Advice(); advice != "" {
			err = errors.New(advice)
		}
		return nil, holdf(fleet.HoldNotInstaller, "%s gives %s, in which no version can be read: %w", f.URL, kind, err)
	}
	if text == "" {
		return nil, holdf(fleet.HoldUnparsable, "the file at %s states no version", f.URL)
	}
	return []byte(text), nil
}

// versionIn is what a file says of itself, by the reader that the feed names. Of
// a program it is the file's version, which is compared on devices too, and of a
// macOS package its application's.
func versionIn(r io.ReaderAt, size int64, read string) (string, error) {
	switch read {
	case "pe":
		file, err := pe.Read(r, size)
		if err != nil {
			return "", err
		}
		return cmp.Or(file.Facts.FileVersion, file.Facts.ProductVersion), nil
	case "msi":
		file, err := msi.Read(r, size)
		if err != nil {
			return "", err
		}
		return file.Facts.ProductVersion, nil
	case "pkg":
		file, err := xar.Read(r, size)
		if err != nil {
			return "", err
		}
		return file.Version(), nil
	}
	return "", fleet.Errorf(fleet.Invalid, "upstream.find", read, "no version is read from such files")
}
