package graph_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// checked are the exchanges that were found to be in order: trials by the
// thousand repeat them to the byte.
var checked = &exchanges{good: map[[32]byte]bool{}}

type exchanges struct {
	mu   sync.Mutex
	good map[[32]byte]bool
}

// key names an exchange. A batch has none: its parts are looked at each time.
func (e *exchanges) key(version string, r *http.Request, body []byte, status int, header http.Header, answer []byte) [32]byte {
	if strings.HasSuffix(r.URL.Path, "/$batch") {
		return [32]byte{}
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s %q %d %q\n%d\n", version, r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), status, header.Get("Content-Type"), len(body))
	h.Write(body)
	h.Write(answer)
	return [32]byte(h.Sum(nil))
}

func (e *exchanges) has(key [32]byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.good[key]
}

func (e *exchanges) add(key [32]byte) {
	if key == ([32]byte{}) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.good[key] = true
}
