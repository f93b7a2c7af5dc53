package graph

import (
	"io"
	"net/http"
	"strconv"
)

// A Call is one request as a Fault function sees it. Besides the operations of
// the routes there are "batch", which is a batch as a whole, and "token".
type Call struct {
	Tenant    string
	Operation string // for example "app.create", "blob.block", "app.assign"
	N         int    // which call of this operation in the tenant, from 1
}

// A Fault is what goes wrong with a call. The zero value is nothing. Of several
// fields that end a call the first one here counts.
type Fault struct {
	Reset      bool   // the connection breaks in the middle of the request's body, nothing is done
	Drop       bool   // the connection breaks before anything is done
	Status     int    // answered instead of doing anything
	RetryAfter int    // seconds, with Status
	Expire     bool   // of a call of the storage: the upload address ends, now
	Hide       int    // of a creation: requests that do not find the new object yet
	State      string // of a content file's creation, renewal or commit: the upload state it ends in
	Lose       bool   // done, but the connection breaks before the answer
	Cut        bool   // done, but the connection breaks in the middle of the answer's body
}

// begin counts a call and asks what goes wrong with it. It ends the request of
// one whose connection breaks before anything is done.
func (s *Server) begin(r *http.Request, t *tenant, operation string) Fault {
	if t == nil {
		return Fault{}
	}
	t.mu.Lock()
	t.calls[operation]++
	n := t.calls[operation]
	t.mu.Unlock()
	fault := s.o.Fault(Call{Tenant: t.Directory, Operation: operation, N: n})
	if fault.Reset {
		_, _ = io.CopyN(io.Discard, r.Body, max(r.ContentLength, 0)/2) // the connection ends either way
	}
	if fault.Reset || fault.Drop {
		panic(http.ErrAbortHandler)
	}
	return fault
}

// refusal is the answer that a fault gives instead of doing anything, nil for
// none.
func (f Fault) refusal() error {
	if f.Status == 0 {
		return nil
	}
	return &failure{status: f.Status, code: "ServiceFault", message: "the service stumbled", retryAfter: f.RetryAfter}
}

// busy refuses a token in the form of OAuth's errors (RFC 6749, section 4.1.2.1).
func (s *Server) busy(w http.ResponseWriter, fault Fault) {
	if fault.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
	}
	s.answer(w, reply{status: fault.Status, body: map[string]any{
		"error": "temporarily_unavailable", "error_description": "AADSTS90033: A transient error has occurred. Please try again.",
	}}, nil)
}

// finish answers a call that was done, as far as its fault lets it.
func (s *Server) finish(w http.ResponseWriter, rep reply, err error, fault Fault) {
	if err == nil && fault.Lose {
		panic(http.ErrAbortHandler)
	}
	if err == nil && fault.Cut {
		w = &cutter{ResponseWriter: w}
	}
	s.answer(w, rep, err)
}

// A cutter announces a body whole, sends half of it and breaks the connection.
// An answer without a body breaks off before its head.
type cutter struct {
	http.ResponseWriter
	status int
}

// WriteHeader keeps the status: Write announces the body.
func (c *cutter) WriteHeader(status int) { c.status = status }

// Write sends the first half.
func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > 0 {
		c.Header().Set("Content-Length", strconv.Itoa(len(p)))
		c.ResponseWriter.WriteHeader(c.status)
		_, _ = c.ResponseWriter.Write(p[:len(p)/2])
		_ = http.NewResponseController(c.ResponseWriter).Flush() // a part of a batch has no connection to flush
	}
	panic(http.ErrAbortHandler)
}
