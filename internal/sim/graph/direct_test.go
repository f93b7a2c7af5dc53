package graph_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
)

// A direct connection hands requests to a handler without a network between,
// and breaks as the handler says: for trials by the thousand. What a real
// connection does besides is tried elsewhere.
type direct struct{ to func() http.Handler }

// RoundTrip serves the request at once.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.Host, in.RequestURI = r.URL.Host, r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	rec := httptest.NewRecorder()
	whole := served(d.to(), rec, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if !whole && rec.Body.Len() == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	resp := rec.Result()
	resp.Request = r
	if !whole {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(rec.Body.Bytes()), broken{}))
	}
	return resp, nil
}

// served reports whether a handler answered to the end.
func served(h http.Handler, w http.ResponseWriter, r *http.Request) (whole bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return true
}

// broken is where a body breaks off.
type broken struct{}

// Read fails.
func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
