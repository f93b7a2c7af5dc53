package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/packmill/packmill/internal/sim/event"
)

// maxBody caps the JSON bodies and blocks the server reads.
const maxBody = 128 << 20

// A Server is the simulated service. It is safe for concurrent use; requests to
// one tenant are served one after another.
type Server struct {
	o       Options
	tenants map[string]*tenant
	mux     *http.ServeMux
	told    sync.Mutex // events are told one after another

	handlers map[string]handler // of Graph's operations, by the pattern of their path
	issued   atomic.Int64       // tokens
}

// New opens the world over o.Dir, as an earlier server left it there.
func New(o Options) (*Server, error) {
	if o.Dir == "" || o.Now == nil {
		return nil, errors.New("graph: a folder and a clock are needed")
	}
	s := &Server{o: o.withDefaults(), tenants: map[string]*tenant{}, handlers: map[string]handler{}}
	for _, t := range o.Tenants {
		if err := s.open(t); err != nil {
			return nil, err
		}
	}
	s.mux = s.routes()
	return s, nil
}

// Close closes the journals. The server answers no more requests afterwards.
func (s *Server) Close() error {
	var errs []error
	for _, t := range s.tenants {
		t.mu.Lock()
		errs = append(errs, t.journal.f.Close())
		t.mu.Unlock()
	}
	return errors.Join(errs...)
}

func (s *Server) open(config Tenant) error {
	if config.Directory == "" || strings.ContainsAny(config.Directory, `/\.`) || s.tenants[config.Directory] != nil {
		return fmt.Errorf("graph: %q is no tenant id of its own", config.Directory)
	}
	t := &tenant{
		Tenant: config, s: s, apps: map[string]*app{}, gone: map[string]*app{}, groups: map[string]*group{}, scripts: map[string]*script{}, entities: map[string]map[string]*entity{}, calls: map[string]int{},
		objects: map[string]*device{}, managed: map[string]*device{}, users: map[string]string{}, rules: map[string]deviceRule{},
	}
	for _, d := range config.Devices {
		zone, err := time.LoadLocation(d.Zone)
		if err != nil {
			return fmt.Errorf("graph: device %s: %w", d.Name, err)
		}
		made := &device{
			Device: d, zone: zone,
			object:  s.guid(config.Directory, "object", d.Name),
			managed: s.guid(config.Directory, "managed", d.Name),
			entra:   s.guid(config.Directory, "entra", d.Name),
		}
		if t.objects[made.object] != nil {
			return fmt.Errorf("graph: tenant %s has two devices called %q", config.Directory, d.Name)
		}
		t.settle(made)
		t.devices = append(t.devices, made)
		t.objects[made.object], t.managed[made.managed] = made, made
	}
	if err := os.MkdirAll(t.blobDir(""), 0o755); err != nil {
		return err
	}
	j, changes, err := openJournal(filepath.Join(s.o.Dir, config.Directory, "journal.jsonl"))
	if err != nil {
		return err
	}
	t.journal = j
	for _, c := range changes {
		t.apply(c)
	}
	s.tenants[config.Directory] = t
	return nil
}

// A request is one call of an operation by a client of a tenant.
type request struct {
	*http.Request
	t     *tenant
	body  []byte
	base  string // scheme, host and version the client used
	fault Fault
}

// A reply is an answer that was not sent yet.
type reply struct {
	status      int
	body        any    // JSON
	raw         []byte // sent as it is when there is no body
	contentType string
	events      []event.Event
}

// A handler serves an operation. It runs with the tenant locked.
type handler func(r *request) (reply, error)

func ok(body any) (reply, error) { return reply{status: http.StatusOK, body: body}, nil }

// did is the reply of a change, with the event that tells of it.
func did(status int, body any, name, detail string) (reply, error) {
	return reply{status: status, body: body, events: []event.Event{{Service: "graph", Name: name, Detail: detail}}}, nil
}

// ServeHTTP serves Graph, its token endpoint and the blob storage.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	s.mux.ServeHTTP(w, r)
}

// authorized finds the tenant whose token a request carries: a client of one
// tenant sees nothing of another.
func (s *Server) authorized(r *http.Request) (*tenant, error) {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !found {
		return nil, fail(http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is empty.")
	}
	tid, expires, err := s.readToken(token)
	t := s.tenants[tid]
	if err != nil || t == nil {
		return nil, fail(http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token validation failure.")
	}
	if !s.o.Now().Before(expires) || t.withdrew(r) {
		return nil, fail(http.StatusUnauthorized, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")
	}
	return t, nil
}

// graph makes an http.Handler of an operation.
func (s *Server) graph(operation string, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, err := s.authorized(r)
		if err != nil {
			s.answer(w, reply{}, err)
			return
		}
		s.serve(w, r, t, operation, func(req *request) (reply, error) { return s.pitfalls(req, operation, h) })
	}
}

// serve runs an operation for a tenant: what goes wrong before it first, then
// the work under the tenant's lock, then the observer, then the answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, t *tenant, operation string, h handler) {
	fault := s.begin(r, t, operation)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.answer(w, reply{}, badRequest("the body cannot be read"))
		return
	}
	req := &request{Request: r, t: t, body: body, base: baseOf(r), fault: fault}
	rep, err := func() (reply, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if err := fault.refusal(); err != nil {
			return reply{}, err
		}
		// The storage is another service with limits of its own.
		if !strings.HasPrefix(operation, "blob.") {
			if err := t.throttle(applicationOf(r), r.Method != http.MethodGet); err != nil {
				return reply{}, err
			}
		}
		if err := t.admit(req); err != nil {
			return reply{}, err
		}
		made, err := t.gate(req, operation)
		if err != nil {
			return reply{}, err
		}
		rep, err := h(req)
		if err == nil {
			err = made()
		}
		if err == nil {
			err = t.note(req, operation, rep)
		}
		return rep, err
	}()
	for _, e := range rep.events {
		s.observe(e)
	}
	s.finish(w, rep, err, req.fault)
}

func (s *Server) observe(e event.Event) {
	s.told.Lock()
	defer s.told.Unlock()
	s.o.Observer.Observe(e)
}

// answer sends a reply or an error in the form Graph gives errors.
func (s *Server) answer(w http.ResponseWriter, rep reply, err error) {
	var f *failure
	if err != nil && !errors.As(err, &f) {
		f = fail(http.StatusInternalServerError, "InternalServerError", err.Error())
	}
	if f != nil {
		if f.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.retryAfter))
		}
		if f.approval != "" {
			w.Header().Set("X-Msft-Approval-Code", f.approval)
		}
		rep = reply{status: f.status, body: map[string]any{"error": map[string]any{"code": f.code, "message": f.message}}}
	}
	data := rep.raw
	if rep.body != nil {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(rep.body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		data = buf.Bytes()
		rep.contentType = "application/json"
	}
	if rep.contentType != "" {
		w.Header().Set("Content-Type", rep.contentType)
	}
	w.Header().Set("Date", s.o.Now().UTC().Format(http.TimeFormat)) // by the world's clock
	w.WriteHeader(rep.status)
	_, _ = w.Write(data) // a client that is gone needs no answer
}

// baseOf is the address below which the client called: links lead back there.
func baseOf(r *http.Request) string {
	version, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return originOf(r) + "/" + version
}

func originOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}
