package graph

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
)

const maxBatch = 20

type batchRequest struct {
	Requests []struct {
		ID      string            `json:"id"`
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
	} `json:"requests"`
}

// batch serves up to twenty requests one after another, each with a status of
// its own. The answer comes back to front, since nothing promises an order.
func (s *Server) batch(w http.ResponseWriter, r *http.Request) {
	t, err := s.authorized(r)
	if err != nil {
		s.answer(w, reply{}, err)
		return
	}
	fault := s.begin(r, t, "batch")
	if err := fault.refusal(); err != nil {
		s.answer(w, reply{}, err)
		return
	}
	var body batchRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Requests) == 0 || len(body.Requests) > maxBatch {
		s.answer(w, reply{}, badRequest("a batch holds 1 to 20 requests"))
		return
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	responses := make([]map[string]any, len(body.Requests))
	for i, item := range body.Requests {
		rec := &recorder{header: http.Header{}, status: http.StatusOK}
		inner, err := http.NewRequestWithContext(r.Context(), item.Method, "/"+version+"/"+strings.TrimPrefix(item.URL, "/"), bytes.NewReader(item.Body))
		if err != nil || strings.Contains(item.URL, "$batch") {
			s.answer(w, reply{}, badRequest("a request of the batch cannot be read"))
			return
		}
		inner.Host = r.Host
		inner.Header.Set("Authorization", r.Header.Get("Authorization"))
		for name, value := range item.Headers {
			inner.Header.Set(name, value)
		}
		if err := t.refusedPart(); err != nil {
			s.answer(rec, reply{}, err)
		} else {
			s.inner(rec, inner)
		}
		answer := map[string]any{"id": item.ID, "status": rec.status}
		headers := map[string]string{}
		for name := range rec.header {
			headers[name] = rec.header.Get(name)
		}
		if len(headers) > 0 {
			answer["headers"] = headers
		}
		if rec.body.Len() > 0 {
			answer["body"] = json.RawMessage(rec.body.Bytes())
		}
		responses[len(responses)-1-i] = answer
	}
	s.finish(w, reply{status: http.StatusOK, body: map[string]any{"responses": responses}}, nil, fault)
}

// inner serves one request of a batch. One whose answer is to get lost fails as
// a gateway would: the batch has one connection.
func (s *Server) inner(rec *recorder, r *http.Request) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			*rec = recorder{header: http.Header{}}
			s.answer(rec, reply{}, fail(http.StatusGatewayTimeout, "UnknownError", "The answer was lost."))
		default:
			panic(p)
		}
	}()
	s.mux.ServeHTTP(rec, r)
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the answer's header.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader keeps the status.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write keeps the body.
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
