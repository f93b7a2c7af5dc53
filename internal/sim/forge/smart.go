package forge

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/cgi"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/sim/event"
)

// maxPush is the largest request body for git that is taken, in bytes.
const maxPush = 1 << 30

// serveGit hands a request of the smart HTTP protocol to git's own server
// (gitprotocol-http), after looking who asks.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	u, ok := s.signedIn(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
		http.Error(w, "sign in with a token as password", http.StatusUnauthorized)
		return
	}
	service := r.URL.Query().Get("service")
	push := strings.HasSuffix(r.URL.Path, "/git-receive-pack") || service == "git-receive-pack"
	if push && roles[u.Role] < roles[Write] {
		http.Error(w, "Permission to "+s.o.Owner+"/"+s.o.Name+".git denied to "+u.Login+".", http.StatusForbidden)
		return
	}
	if r.Method == http.MethodGet && service != "git-upload-pack" && service != "git-receive-pack" {
		http.Error(w, "only the smart protocol is served", http.StatusForbidden)
		return
	}
	body, clean, err := s.spool(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	defer clean()
	if r.Method == http.MethodPost && push {
		s.receive(w, body, u)
		return
	}
	s.backendFor(u).ServeHTTP(w, body)
}

// backendFor is git-http-backend for one user. The credential does not reach
// it: programs inherit environments.
func (s *Server) backendFor(u User) http.Handler {
	env := append(cleanEnv(), "GIT_PROJECT_ROOT="+filepath.Join(s.o.Dir, "git"), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER="+u.Login)
	if u.Bot && roles[u.Role] >= roles[Write] {
		env = append(env, "FORGE_MAY_WRITE_EVIDENCE=1")
	}
	return &cgi.Handler{Path: s.backend, Root: "/", Env: env, InheritEnv: []string{"PATH"}, Stderr: io.Discard}
}

// spool takes the whole body before git starts: CGI needs its length, and a
// slow client must not hold the lock.
func (s *Server) spool(r *http.Request) (_ *http.Request, clean func(), err error) {
	with := r.Clone(r.Context())
	with.Header.Del("Authorization")
	with.TransferEncoding = nil
	if r.Method != http.MethodPost {
		return with, func() {}, nil
	}
	f, err := os.CreateTemp(s.o.Dir, "push-*.tmp")
	if err != nil {
		return nil, nil, err
	}
	clean = func() { f.Close(); os.Remove(f.Name()) }
	n, err := io.Copy(f, http.MaxBytesReader(nil, r.Body, maxPush))
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		clean()
		return nil, nil, err
	}
	with.Body, with.ContentLength = io.NopCloser(f), n
	return with, clean, nil
}

// receive takes a push. git's answer is kept until the forge's own state has
// followed and the observer was told.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, u User) {
	answer := &kept{header: http.Header{}, status: http.StatusOK}
	events, err := s.push(answer, r, u)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for _, e := range events {
		s.o.Observer.Observe(e)
	}
	maps.Copy(w.Header(), answer.header)
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body.Bytes()) // the client may be gone; the push stands
}

func (s *Server) push(answer *kept, r *http.Request, u User) ([]event.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, err := s.repo.Refs("refs/heads/")
	if err != nil {
		return nil, err
	}
	s.backendFor(u).ServeHTTP(answer, r)
	after, err := s.repo.Refs("refs/heads/")
	if err != nil {
		return nil, err
	}
	if err := s.follow(r.Context()); err != nil {
		return nil, err
	}
	var events []event.Event
	for _, ref := range slices.Sorted(maps.Keys(after)) {
		if before[ref] != after[ref] {
			events = append(events, event.Event{Service: "forge", Name: "push", Detail: strings.TrimPrefix(ref, "refs/heads/")})
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(before)) {
		if after[ref] == "" {
			events = append(events, event.Event{Service: "forge", Name: "push", Detail: strings.TrimPrefix(ref, "refs/heads/")})
		}
	}
	return events, nil
}

// kept is an answer that is not sent yet.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header         { return k.header }
func (k *kept) WriteHeader(status int)      { k.status = status }
func (k *kept) Write(p []byte) (int, error) { return k.body.Write(p) }
