package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// An answer is what a server said, with what it takes to ask again only for
// changes (RFC 9110, sections 8.8 and 13.1).
type answer struct {
	Key          string `json:"url"` // of the query: its address, for most
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
	Body         []byte `json:"body"`
}

// fresh reports whether the server can be asked for changes only.
func (a *answer) fresh() bool { return a != nil && (a.ETag != "" || a.LastModified != "") }

// A disk keeps answers in a folder, one file for each query. The empty disk
// keeps nothing.
type disk string

func (d disk) path(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(string(d), hex.EncodeToString(sum[:16])+".json")
}

// load is the answer kept for the query, nil when there is none that can be
// read: a cache may be deleted or damaged at any time.
func (d disk) load(key string) *answer {
	if d == "" {
		return nil
	}
	data, err := os.ReadFile(d.path(key))
	if err != nil {
		return nil
	}
	var a answer
	if json.Unmarshal(data, &a) != nil || a.Key != key {
		return nil
	}
	return &a
}

// store replaces the file of the answer's query in one step.
func (d disk) store(a *answer) error {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return err
	}
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(string(d), ".answer-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), d.path(a.Key)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
