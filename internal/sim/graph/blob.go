package graph

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// blobDir is the folder of a file's blocks.
func (t *tenant) blobDir(file string) string {
	return filepath.Join(t.s.o.Dir, t.Directory, "blobs", file)
}

// blockPath is where a block is kept; its name comes from outside, so it is
// spelt in hex.
func (t *tenant) blockPath(file, id string) string {
	return filepath.Join(t.blobDir(file), hex.EncodeToString([]byte(id)))
}

// sign makes the address of a file's blob with a signature that ends, in the
// form of a shared access signature.
func (t *tenant) sign(origin string, f *file) string {
	permissions := "w"
	if t.s.o.ReadableSAS {
		permissions = "rw"
	}
	q := url.Values{
		"sv": {"2021-12-02"}, "sr": {"b"}, "sp": {permissions}, "se": {f.Expires.UTC().Format(time.RFC3339)}, "si": {strconv.Itoa(f.Signed)},
	}
	q.Set("sig", t.signature(f.ID, q))
	return origin + "/blob/" + t.Directory + "/" + f.ID + "?" + q.Encode()
}

func (t *tenant) signature(file string, q url.Values) string {
	key := t.s.hash("sas", t.Directory)
	mac := hmac.New(sha256.New, key[:])
	for _, part := range []string{file, q.Get("sp"), q.Get("se"), q.Get("si")} {
		mac.Write([]byte(part + "\n"))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// blobRequest checks a signed address and runs an operation on the blob.
func (s *Server) blobRequest(w http.ResponseWriter, r *http.Request, operation, permission string, h func(*request, *app, *file) (reply, error)) {
	t := s.tenants[r.PathValue("tenant")]
	if t == nil {
		blobError(w, http.StatusNotFound, "ResourceNotFound")
		return
	}
	s.serve(&blobWriter{ResponseWriter: w}, r, t, operation, func(req *request) (reply, error) {
		q := r.URL.Query()
		expires, err := time.Parse(time.RFC3339, q.Get("se"))
		good := err == nil && hmac.Equal([]byte(q.Get("sig")), []byte(t.signature(r.PathValue("file"), q)))
		if !good || !s.o.Now().Before(expires) || !strings.Contains(q.Get("sp"), permission) {
			return reply{}, fail(http.StatusForbidden, "AuthenticationFailed", "Server failed to authenticate the request.")
		}
		for _, a := range t.apps {
			for _, c := range a.Versions {
				for _, f := range c.Files {
					if f.ID != r.PathValue("file") {
						continue
					}
					if t.ended(req, f, operation) {
						return reply{}, fail(http.StatusForbidden, "AuthenticationFailed", "Signature not valid in the specified time frame.")
					}
					return h(req, a, f)
				}
			}
		}
		return reply{}, fail(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.")
	})
}

// blobWriter tells errors in the storage's own form, XML.
type blobWriter struct {
	http.ResponseWriter
	failed bool
}

// Unwrap is what the answer goes to.
func (b *blobWriter) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func (b *blobWriter) WriteHeader(status int) {
	if b.failed = status >= 400; b.failed {
		b.Header().Set("Content-Type", "application/xml")
	}
	b.ResponseWriter.WriteHeader(status)
}

func (b *blobWriter) Write(p []byte) (int, error) {
	if b.failed {
		return io.WriteString(b.ResponseWriter, xml.Header+"<Error><Code>RequestFailed</Code></Error>")
	}
	return b.ResponseWriter.Write(p)
}

func blobError(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, xml.Header+"<Error><Code>"+code+"</Code></Error>")
}

// putBlob takes a block, or the list that makes blocks a blob.
func (s *Server) putBlob(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Query().Get("comp") {
	case "block":
		s.blobRequest(w, r, "blob.block", "w", putBlock)
	case "blocklist":
		s.blobRequest(w, r, "blob.blocklist", "w", putBlockList)
	default:
		blobError(w, http.StatusBadRequest, "InvalidQueryParameterValue")
	}
}

func (s *Server) getBlob(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("comp") != "blocklist" {
		blobError(w, http.StatusForbidden, "AuthorizationPermissionMismatch")
		return
	}
	s.blobRequest(w, r, "blob.list", "r", listBlocks)
}

func putBlock(r *request, a *app, f *file) (reply, error) {
	id := r.URL.Query().Get("blockid")
	raw, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(raw) == 0 || len(raw) > 64 || r.Header.Get("x-ms-blob-type") != "BlockBlob" {
		return reply{}, fail(http.StatusBadRequest, "InvalidQueryParameterValue", "the block id is not valid")
	}
	staged, err := r.t.staged(f.ID)
	if err != nil {
		return reply{}, err
	}
	for other := range staged {
		if len(other) != len(id) {
			return reply{}, fail(http.StatusBadRequest, "InvalidBlobOrBlock", "block ids of a blob have one length")
		}
	}
	if err := os.MkdirAll(r.t.blobDir(f.ID), 0o755); err != nil {
		return reply{}, err
	}
	path := r.t.blockPath(f.ID, id)
	if err := os.WriteFile(path+".new", r.body, 0o644); err != nil {
		return reply{}, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return reply{}, err
	}
	return did(http.StatusCreated, nil, "block", a.ID+"/"+f.ID)
}

// staged are the sizes of a file's blocks by id.
func (t *tenant) staged(file string) (map[string]int64, error) {
	entries, err := os.ReadDir(t.blobDir(file))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	out := map[string]int64{}
	for _, e := range entries {
		id, err := hex.DecodeString(e.Name())
		if err != nil {
			continue // a block that a crash cut off
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		out[string(id)] = info.Size()
	}
	return out, nil
}

func putBlockList(r *request, a *app, f *file) (reply, error) {
	var list struct {
		XMLName xml.Name `xml:"BlockList"`
		Latest  []string `xml:"Latest"`
	}
	if xml.Unmarshal(r.body, &list) != nil {
		return reply{}, fail(http.StatusBadRequest, "InvalidXmlDocument", "the block list is no XML document")
	}
	staged, err := r.t.staged(f.ID)
	if err != nil {
		return reply{}, err
	}
	for _, id := range list.Latest {
		if _, ok := staged[id]; !ok {
			return reply{}, fail(http.StatusBadRequest, "InvalidBlockList", "a block of the list was never put")
		}
	}
	f.Blocks = list.Latest
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusCreated, nil, "blocklist", a.ID+"/"+f.ID)
}

func listBlocks(r *request, a *app, f *file) (reply, error) {
	staged, err := r.t.staged(f.ID)
	if err != nil {
		return reply{}, err
	}
	type block struct {
		Name string
		Size int64
	}
	var doc struct {
		XMLName xml.Name `xml:"BlockList"`
		Blocks  []block  `xml:"UncommittedBlocks>Block"`
	}
	for id, size := range staged {
		if !slices.Contains(f.Blocks, id) {
			doc.Blocks = append(doc.Blocks, block{id, size})
		}
	}
	slices.SortFunc(doc.Blocks, func(a, b block) int { return strings.Compare(a.Name, b.Name) })
	data, err := xml.Marshal(doc)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, raw: append([]byte(xml.Header), data...), contentType: "application/xml"}, nil
}
