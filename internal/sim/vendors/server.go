package vendors

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/sim/event"
)

// Options are how a Server is made.
type Options struct {
	Dir     string           // where the data are kept; in memory when empty
	Now     func() time.Time // the virtual clock
	Observe event.Observer
	Data    Data // for a Dir that holds none yet
}

// A Server is the simulated vendors. It is safe for concurrent use.
type Server struct {
	dir     string
	now     func() time.Time
	observe event.Observer

	mu       sync.Mutex
	data     Data
	requests int
	same     int
}

// New opens the vendors whose data stand in the folder, or founds them with the
// data given.
func New(o Options) (*Server, error) {
	s := &Server{dir: o.Dir, now: o.Now, observe: o.Observe, data: o.Data}
	if s.dir == "" {
		return s, nil
	}
	text, err := os.ReadFile(s.file())
	if errors.Is(err, fs.ErrNotExist) {
		return s, s.save()
	}
	if err != nil {
		return nil, err
	}
	s.data = Data{}
	return s, json.Unmarshal(text, &s.data)
}

func (s *Server) file() string { return filepath.Join(s.dir, "vendors.json") }

// save replaces the file in one step, so that a kill leaves the old or the new.
func (s *Server) save() error {
	if s.dir == "" {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(s.data, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.file()+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(s.file()+".new", s.file())
}

// Change edits what the vendors publish. It is on disk before Change returns.
func (s *Server) Change(edit func(*Data)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Requests that are being answered keep the data they began with.
	text, err := json.Marshal(s.data)
	if err != nil {
		return err
	}
	var data Data
	if err := json.Unmarshal(text, &data); err != nil {
		return err
	}
	edit(&data)
	s.data = data
	if err := s.save(); err != nil {
		return err
	}
	s.observe.Observe(event.Event{Service: "vendors", Name: "change"})
	return nil
}

// Requests is how many requests came, and how many were answered "not
// modified".
func (s *Server) Requests() (all, notModified int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, s.same
}

// ServeHTTP answers as the server of the path's first element would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	s.mu.Lock()
	s.requests++
	v := view{data: s.data, now: s.now(), base: "http://" + r.Host, query: r.URL.Query()}
	s.mu.Unlock()
	fault := v.fault(r.URL.Path)
	switch fault {
	case RateLimited:
		w.Header().Set("Retry-After", "3600")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	case Unavailable:
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		return
	case HTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in to go on.</body></html>\n"))
		return
	}
	a := v.answer(r.URL.Path)
	switch {
	case a.location != "":
		http.Redirect(w, r, a.location, http.StatusFound)
	case a.body == nil:
		http.NotFound(w, r)
	case fault == Truncated:
		truncate(w, a)
	default:
		s.serve(w, r, a)
	}
}

// serve writes an answer with validators, or says that nothing changed.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, a answer) {
	sum := sha256.Sum256(a.body)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	w.Header().Set("Content-Type", a.kind)
	counted := &statusWriter{ResponseWriter: w}
	http.ServeContent(counted, r, "", a.modified, bytes.NewReader(a.body))
	if counted.status == http.StatusNotModified {
		s.mu.Lock()
		s.same++
		s.mu.Unlock()
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// truncate announces everything, sends half, and drops the connection.
func truncate(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Content-Length", itoa(len(a.body)))
	_, _ = w.Write(a.body[:len(a.body)/2])
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// A view is the world at one instant.
type view struct {
	data Data
	now  time.Time
	base string // address of this server

	query url.Values // of the request
}

// An answer is a body, or a redirect, or nothing: not found.
type answer struct {
	body     []byte
	kind     string // content type
	modified time.Time
	location string
}

func binaryAnswer(body []byte, at time.Time) answer {
	return answer{body: body, kind: "application/octet-stream", modified: at}
}

func jsonAnswer(v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		return answer{} // strings, numbers and times do marshal
	}
	return answer{body: append(body, '\n'), kind: "application/json"}
}

// fault is the kind of the last fault in force at the path, "" for none.
func (v view) fault(path string) string {
	for _, f := range slices.Backward(v.data.Faults) {
		if f.In(v.now) && strings.HasPrefix(path, f.Path) {
			return f.Kind
		}
	}
	return ""
}

// bytesAt are a content's bytes as the path serves them now.
func (v view) bytesAt(path string, c Content) []byte {
	if v.fault(path) == Changed {
		return altered(c.Bytes())
	}
	return c.Bytes()
}

// answer finds what stands at the path.
func (v view) answer(path string) answer {
	switch "https:/" + path {
	case KEVAddress:
		return v.kev()
	case EPSSAddress:
		return v.epss(v.query.Get("cve"))
	}
	host, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch host {
	case "api.github.com":
		return v.githubAPI(rest)
	case "github.com", "objects.githubusercontent.com":
		if a := v.githubAsset(host, rest); a.body != nil || a.location != "" {
			return a
		}
	case "npm":
		return v.npm(rest)
	case "debian":
		return v.debian(rest)
	case "goproxy":
		return v.goProxy(rest)
	}
	return v.page(path, host, "/"+rest)
}

// page is what another host publishes.
func (v view) page(path, host, rest string) answer {
	for _, p := range slices.Backward(v.data.Pages) {
		if p.Host != host || p.Path != rest || !p.In(v.now) {
			continue
		}
		a := binaryAnswer(v.bytesAt(path, p.Content), p.At)
		if p.Content.Kind == KindText {
			a.kind = "text/plain; charset=utf-8"
			if json.Valid(a.body) {
				a.kind = "application/json"
			}
		}
		return a
	}
	return answer{}
}
