package factory

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// A pool is the downloads of one run that it needs again: packages and installers
// may have their bytes from one address. What nobody else needs is not kept, and
// what is kept is gone with the run. A pool is for one user at a time.
type pool struct {
	dir  string          // made for the first download
	left map[address]int // installers that have not taken their download yet
	kept map[address]keptFile
}

// An address is where a download is, and whom it may be had from: what one
// publisher's hosts allow, redirects included, another's may not.
type address struct{ url, purl, hosts string }

type keptFile struct {
	path   string
	digest fleet.Digest
}

func addressOf(d fleet.Download, hosts []string) address {
	return address{d.URL, d.PURL, strings.Join(slices.Sorted(slices.Values(hosts)), " ")}
}

// newPool is a pool for the downloads of the findings that are new versions.
func newPool(repo *fleet.Repository, findings []Finding) *pool {
	p := &pool{left: map[address]int{}, kept: map[address]keptFile{}}
	for _, f := range findings {
		if f.State != fleet.StateNew {
			continue
		}
		for _, at := range f.Upstream.Installers {
			p.left[addressOf(downloadOf(at), repo.Publishers[f.Package.Publisher()].Hosts)]++
		}
	}
	return p
}

// remove removes all that the pool holds.
func (p *pool) remove() error {
	if p.dir == "" {
		return nil
	}
	return os.RemoveAll(p.dir)
}

// take is the file of a download: the one that is held if it is what d states,
// else what fetch writes. done gives it back.
func (p *pool) take(d fleet.Download, hosts []string, fetch func(io.Writer) error) (saved, error) {
	at := addressOf(d, hosts)
	p.left[at]--
	if held, ok := p.kept[at]; ok {
		file, err := reopen(held, d)
		if file.File != nil || err != nil {
			return file, err
		}
		// Other bytes are stated than came: what comes now is for Fetch to judge.
	}
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "packmill-propose-")
		if err != nil {
			return saved{}, err
		}
		p.dir = dir
	}
	dir, err := os.MkdirTemp(p.dir, "download-")
	if err != nil {
		return saved{}, err
	}
	file, err := save(dir, "download", fetch)
	if err != nil {
		return saved{}, errors.Join(err, os.RemoveAll(dir))
	}
	if _, ok := p.kept[at]; !ok && p.left[at] > 0 {
		p.kept[at] = keptFile{file.Name(), file.digest}
	}
	return file, nil
}

// done closes a file that was taken, and removes it unless it is needed again.
func (p *pool) done(d fleet.Download, hosts []string, file saved) error {
	file.close()
	at := addressOf(d, hosts)
	if p.kept[at].path == file.Name() {
		if p.left[at] > 0 {
			return nil
		}
		delete(p.kept, at)
	}
	return os.RemoveAll(filepath.Dir(file.Name()))
}

// reopen is a file that is held, read again whole: no file when its bytes are not
// those that were downloaded any more, or not those that d states.
func reopen(held keptFile, d fleet.Download) (saved, error) {
	file, err := os.Open(held.path)
	if err != nil {
		return saved{}, err
	}
	short, long := sha256.New(), sha512.New()
	size, err := io.Copy(io.MultiWriter(short, long), file)
	if err != nil {
		return saved{}, errors.Join(err, file.Close())
	}
	sum := fleet.Digest("sha256:" + hex.EncodeToString(short.Sum(nil)))
	if sum != held.digest || d.SHA256 != "" && d.SHA256 != sum || d.Size > 0 && d.Size != size ||
		d.SHA512 != "" && d.SHA512 != hex.EncodeToString(long.Sum(nil)) {
		return saved{}, file.Close()
	}
	return saved{file, size, sum}, nil
}
