package intune

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// Upload states of a content file (mobileAppContentFileUploadState).
const (
	uriReady   = "azureStorageUriRequestSuccess"
	uriRenewed = "azureStorageUriRenewalSuccess"
	committed  = "commitFileSuccess"
)

const (
	commitTries = 2                // files made before the content counts as rejected
	tokenLeft   = 20 * time.Minute // what a token must still last before an upload or a commit: the poll after it may take ten
	renewBefore = 3 * time.Minute  // Microsoft's sample renews this long before the end
	blobTries   = 4                // a signature is not known everywhere at once
	blobWait    = 2 * time.Second
	contentName = "IntunePackage.intunewin" // of a container
)

// errRejected is a file the service will not take as it is.
var errRejected = errors.New("the service rejected the uploaded file")

// bring gets the content committed in the version, in one of its files or a new
// one.
func (p *publication) bring(ctx context.Context, app, version string, files []contentFile) error {
	file, err := p.resume(ctx, app, version, files)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		old := file != nil
		if file == nil {
			if file, err = p.newFile(ctx, app, version); err != nil {
				return err
			}
		}
		err := p.transfer(ctx, app, version, *file, old)
		if !errors.Is(err, errRejected) {
			return err
		}
		if err := p.discard(ctx, app, version, *file); err != nil {
			return err
		}
		if try == commitTries {
			return &fleet.Error{Op: "intune.commit", Object: p.key.String(), Kind: fleet.Stalled, Err: err,
				Hint: "the content's own checks pass, so the service is at fault: try later, then open a case with Microsoft"}
		}
		file = nil
	}
}

// resume picks the file an earlier run was busy with, and removes those that
// lead nowhere.
func (p *publication) resume(ctx context.Context, app, version string, files []contentFile) (*contentFile, error) {
	var best *contentFile
	for _, f := range files {
		switch {
		case f.IsDependency:
		case best == nil && p.fits(f) && !failed(f.UploadState):
			best = &f
		case best != nil && !best.IsCommitted && f.IsCommitted && p.fits(f):
			if err := p.discard(ctx, app, version, *best); err != nil {
				return nil, err
			}
			best = &f
		default:
			if err := p.discard(ctx, app, version, f); err != nil {
				return nil, err
			}
		}
	}
	return best, nil
}

// fits reports whether a file was made for this content.
func (p *publication) fits(f contentFile) bool {
	return f.Name == p.content.name && f.Size == p.content.body.UnencryptedSize && f.SizeEncrypted == p.content.body.Encrypted().Size()
}

func failed(state string) bool {
	switch state {
	case "azureStorageUriRequestFailed", "azureStorageUriRequestTimedOut", "azureStorageUriRenewalFailed", "azureStorageUriRenewalTimedOut",
		"commitFileFailed", "commitFileTimedOut", "error":
		return true
	}
	return false
}

func (p *publication) newFile(ctx context.Context, app, version string) (*contentFile, error) {
	body := contentFile{
		ODataType: "#microsoft.graph.mobileAppContentFile", Name: p.content.name,
		Size: p.content.body.UnencryptedSize, SizeEncrypted: p.content.body.Encrypted().Size(),
	}
	var made contentFile
	if err := p.c.api.Call(ctx, msgraph.Fresh, http.MethodPost, filesPath(p.kind, app, version), body, &made); err != nil {
		return nil, err
	}
	if made.ID == "" {
		return nil, errors.New("the service created a content file without telling its id")
	}
	return &made, nil
}

// transfer uploads and commits one file, unless that has been done. Old says
// that an earlier run may have uploaded a part. Once begun it goes to its end,
// whether or not anything may be changed by then: devices get nothing by it, and
// what needs longer than anybody may write would never arrive.
func (p *publication) transfer(ctx context.Context, app, version string, f contentFile, old bool) error {
	at := filePath(p.kind, app, version, f.ID)
	if f.IsCommitted || f.UploadState == committed {
		return nil
	}
	if err := fleet.Still(ctx); err != nil {
		return err
	}
	ctx = fleet.While(ctx, nil)
	if f.UploadState != "commitFilePending" {
		if err := p.c.api.Lasting(ctx, tokenLeft); err != nil {
			return err
		}
		// A state that nobody knows may be that of a commit under way.
		file, err := p.await(ctx, at, uriReady, uriRenewed, committed)
		if err != nil || file.UploadState == committed {
			return err
		}
		u := &blobUpload{p: p, at: at, file: file, old: old}
		if err := u.run(ctx); err != nil {
			return err
		}
		if err := p.c.api.Lasting(ctx, tokenLeft); err != nil {
			return err // the upload took its time
		}
		e := p.content.body.Encryption
		body := map[string]fileEncryptionInfo{"fileEncryptionInfo": {
			EncryptionKey: e.EncryptionKey, MacKey: e.MacKey, InitializationVector: e.InitializationVector, Mac: e.Mac,
			ProfileIdentifier: e.ProfileIdentifier, FileDigest: e.FileDigest, FileDigestAlgorithm: e.FileDigestAlgorithm,
		}}
		if err := p.c.api.Call(ctx, msgraph.Final, http.MethodPost, at+"/commit", body, nil); err != nil {
			return err
		}
	}
	_, err := p.await(ctx, at, committed)
	return err
}

// await polls a file until it reaches one of the states.
func (p *publication) await(ctx context.Context, at string, states ...string) (contentFile, error) {
	var f contentFile
	err := p.c.api.Poll(ctx, states[0], func() (bool, error) {
		f = contentFile{}
		if err := p.c.api.Call(ctx, msgraph.Fresh, http.MethodGet, at, nil, &f); err != nil {
			return false, err
		}
		if failed(f.UploadState) {
			return false, fmt.Errorf("%w: %s", errRejected, f.UploadState)
		}
		for _, s := range states {
			if f.UploadState == s {
				return true, nil
			}
		}
		return false, nil
	})
	return f, err
}

// A blobUpload puts the encrypted content into the storage that the service
// lends, block by block.
type blobUpload struct {
	p    *publication
	at   string // path of the content file
	file contentFile
	old  bool
	ids  []string
}

// run uploads the blocks and their list. The MAC is computed over what was
// sent: bytes that changed since the container was verified never get into the
// list, so nothing can be committed.
func (u *blobUpload) run(ctx context.Context) error {
	var have map[string]int64
	if u.old {
		have = u.staged(ctx)
	}
	source := u.p.content.body.Encrypted()
	mac := hmac.New(sha256.New, u.p.content.body.Encryption.MacKey)
	size := min(int64(u.p.c.blockSize), source.Size())
	if uploads := u.p.c.uploads; uploads != nil {
		if err := uploads.Acquire(ctx, size); err != nil {
			return err
		}
		defer uploads.Release(size)
	}
	buf := make([]byte, size)
	for off := int64(0); off < source.Size(); {
		n, err := io.ReadFull(source, buf)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return altered(u.p.app, "the content ended while it was uploaded: %w", err)
		}
		block := buf[:n]
		if off == 0 {
			mac.Write(block[min(n, sha256.Size):])
			if !bytes.HasPrefix(block, u.p.content.body.Encryption.Mac) {
				return altered(u.p.app, "the content changed while it was uploaded")
			}
		} else {
			mac.Write(block)
		}
		id := blockID(len(u.ids), block)
		u.ids = append(u.ids, id)
		if have[id] != int64(n) {
			if err := u.put(ctx, "comp=block&blockid="+url.QueryEscape(id), "application/octet-stream", block); err != nil {
				return err
			}
		}
		off += int64(n)
	}
	if !hmac.Equal(mac.Sum(nil), u.p.content.body.Encryption.Mac) {
		return altered(u.p.app, "the content changed while it was uploaded")
	}
	blocks, err := xml.Marshal(blockList{Latest: u.ids})
	if err != nil {
		return err
	}
	return u.put(ctx, "comp=blocklist", "text/plain; charset=utf-8", append([]byte(xml.Header), blocks...))
}

type blockList struct {
	XMLName xml.Name `xml:"BlockList"`
	Latest  []string `xml:"Latest"`
}

// blockID names a block by its place and its bytes. Azure wants ids of one
// length within a blob; with the digest in it, a block that is there already is
// the right one.
func blockID(i int, block []byte) string {
	sum := sha256.Sum256(block)
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%06d-%s", i, hex.EncodeToString(sum[:16])))
}

// put sends one request to the storage, with a fresh signature when the present
// one ends or is not accepted.
func (u *blobUpload) put(ctx context.Context, options, contentType string, body []byte) error {
	wait := blobWait
	for try := 1; ; try++ {
		if e := u.file.Expires; e != nil && u.p.c.api.Clock().Now().Add(renewBefore).After(*e) {
			if err := u.renew(ctx); err != nil {
				return err
			}
		}
		err := u.send(ctx, http.MethodPut, options, contentType, body, nil)
		status := transport.StatusOf(err)
		if err == nil || try == blobTries || (status != http.StatusForbidden && status != http.StatusBadRequest && status != http.StatusTemporaryRedirect) {
			return err
		}
		if err := u.p.c.api.Clock().Sleep(ctx, wait); err != nil {
			return err
		}
		wait *= 2
		if status == http.StatusForbidden {
			if err := u.renew(ctx); err != nil {
				return err
			}
		}
	}
}

// renew asks for a new signature. Blocks that were staged stay.
func (u *blobUpload) renew(ctx context.Context) error {
	if err := u.p.c.api.Call(ctx, msgraph.Fresh, http.MethodPost, u.at+"/renewUpload", struct{}{}, nil); err != nil {
		return err
	}
	file, err := u.p.await(ctx, u.at, uriRenewed)
	if err == nil {
		u.file = file
	}
	return err
}

// staged lists the blocks an earlier run left. A signature without the right to
// read is common: then everything is sent again, which does no harm.
func (u *blobUpload) staged(ctx context.Context) map[string]int64 {
	var doc struct {
		Blocks []struct {
			Name string `xml:"Name"`
			Size int64  `xml:"Size"`
		} `xml:"UncommittedBlocks>Block"`
	}
	if err := u.send(ctx, http.MethodGet, "comp=blocklist&blocklisttype=uncommitted", "", nil, &doc); err != nil {
		u.p.c.api.Log().DebugContext(ctx, "blocks of an earlier run cannot be listed: all are sent", "tenant", u.p.c.api.Directory(), "error", err)
		return nil
	}
	have := map[string]int64{}
	for _, b := range doc.Blocks {
		have[b.Name] = b.Size
	}
	return have
}

// send makes one request under the signed address. The bearer token has no
// business there.
func (u *blobUpload) send(ctx context.Context, method, options, contentType string, body []byte, out any) error {
	address, err := u.p.c.blobAddress(u.file.URI)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, address+options, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if method == http.MethodPut {
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("x-ms-blob-type", "BlockBlob")
	}
	req.Header.Set("x-ms-version", "2021-12-02")
	resp, err := u.p.c.api.HTTP().Do(ctx, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out != nil {
		return xml.NewDecoder(resp.Body).Decode(out)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// blobAddress is the signed address, ready to take options. Content is not sent
// over a connection weaker than the one to Graph.
func (c *Client) blobAddress(uri string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != c.api.Base().Scheme) {
		return "", fleet.Errorf(fleet.Refused, "intune.upload", c.api.Directory(), "the service names no usable storage address")
	}
	if u.RawQuery == "" {
		return uri + "?", nil
	}
	return uri + "&", nil
}
