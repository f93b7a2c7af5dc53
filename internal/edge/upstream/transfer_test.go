package upstream

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// A flaky server breaks answers off, and answers Range as it is told.
type flaky struct {
	data    []byte
	etag    string
	changed time.Time
	breaks  []int                                                       // bytes that answers break off after; the last ones are whole
	answer  func(w http.ResponseWriter, r *http.Request, from int) bool // to Range; nil or false: as it should be

	ranges []string // of the requests
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.ranges = append(f.ranges, strings.TrimSpace(r.Header.Get("Range")+" "+r.Header.Get("If-Range")))
	w.Header().Set("ETag", f.etag)
	if f.etag == "" {
		w.Header().Del("ETag")
	}
	if !f.changed.IsZero() {
		w.Header().Set("Last-Modified", f.changed.UTC().Format(http.TimeFormat))
	}
	from := 0
	if text := r.Header.Get("Range"); text != "" {
		if _, err := fmt.Sscanf(text, "bytes=%d-", &from); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if f.answer != nil && f.answer(w, r, from) {
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(f.data)-1, len(f.data)))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(f.data)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	if len(f.breaks) == 0 {
		_, _ = w.Write(f.data[from:])
		return
	}
	n := f.breaks[0]
	f.breaks = f.breaks[1:]
	_, _ = w.Write(f.data[from : from+n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func (f *flaky) fetch(t *testing.T, d fleet.Download) ([]byte, *Body, error) {
	t.Helper()
	srv := httptest.NewServer(f)
	defer srv.Close()
	c := New(Config{Mirror: srv.URL, NPMRegistry: srv.URL, Clock: fleet.NewManualClock(time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC))})
	if d.PURL == "" {
		d.URL = "https://vendor.example/setup.exe"
	}
	body, err := c.Fetch(t.Context(), d, []string{"vendor.example"})
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	return data, body, err
}

func someBytes(seed byte) []byte {
	out := make([]byte, 300_000)
	for i := range out {
		out[i] = byte(i*7+i/251) ^ seed
	}
	return out
}

// TestResume breaks a download off at several places: it goes on from there, by
// either validator, and its digest is of all bytes.
func TestResume(t *testing.T) {
	data := someBytes(1)
	old := time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		name    string
		server  flaky
		d       fleet.Download
		resumes int
	}{
		{"once", flaky{etag: `"a"`, breaks: []int{100_000}}, fleet.Download{}, 1},
		{"four times", flaky{etag: `"a"`, breaks: []int{1, 70_000, 1, 100_000}}, fleet.Download{SHA256: fleet.DigestOf(data), Size: int64(len(data))}, 4},
		{"before the first byte", flaky{breaks: []int{0}}, fleet.Download{}, 1},
		{"right behind the last resume", flaky{etag: `"a"`, breaks: []int{100_000, 0}}, fleet.Download{}, 2},
		{"by time", flaky{changed: old, breaks: []int{100_000, 100_000}}, fleet.Download{}, 2},
		{"one byte before the end", flaky{etag: `"a"`, breaks: []int{len(data) - 1}}, fleet.Download{}, 1},
	} {
		f := tt.server
		f.data = data
		got, body, err := f.fetch(t, tt.d)
		if err != nil || !bytes.Equal(got, data) || body.Digest() != fleet.DigestOf(data) || body.Size() != int64(len(data)) {
			t.Errorf("%s: %d bytes, %v", tt.name, len(got), err)
		}
		if len(f.ranges) != tt.resumes+1 {
			t.Errorf("%s: asked by %q", tt.name, f.ranges)
		}
		if n := tt.server.breaks[0]; n > 0 {
			want := fmt.Sprintf("bytes=%d- %s", n, tt.server.etag)
			if tt.server.etag == "" {
				want += old.UTC().Format(http.TimeFormat)
			}
			if f.ranges[1] != want {
				t.Errorf("%s: asked for %q, want %q", tt.name, f.ranges[1], want)
			}
		}
	}
}

// TestResumeNPM does so for a tarball of a registry.
func TestResumeNPM(t *testing.T) {
	data := someBytes(1)
	long := sha512.Sum512(data)
	f := &flaky{data: data, etag: `"a"`, breaks: []int{5, 100_000}}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	mux.Handle("/tool/-/tool-1.0.0.tgz", f)
	mux.HandleFunc("/tool/1.0.0", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"dist":{"tarball":"%s/tool/-/tool-1.0.0.tgz","integrity":"sha512-%s"}}`, srv.URL, base64.StdEncoding.EncodeToString(long[:]))
	})
	c := New(Config{NPMRegistry: srv.URL, Clock: fleet.NewManualClock(time.Date(2026, 11, 18, 6, 0, 0, 0, time.UTC))})
	body, err := c.Fetch(t.Context(), fleet.Download{PURL: "pkg:npm/tool@1.0.0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, data) || len(f.ranges) != 3 {
		t.Errorf("%d bytes, %v, asked by %q", len(got), err, f.ranges)
	}
}

// TestNotResumed gives what a download must not go on from: each is a hold, and
// what came is a beginning of the first file, never a mixture of two.
func TestNotResumed(t *testing.T) {
	data, other := someBytes(1), someBytes(2)
	part := func(contentRange, etag string, rest []byte) func(http.ResponseWriter, *http.Request, int) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header().Set("Content-Range", contentRange)
			w.Header().Set("ETag", etag)
			w.Header().Set("Content-Length", fmt.Sprint(len(rest)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(rest)
			return true
		}
	}
	status := func(code int) func(http.ResponseWriter, *http.Request, int) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.WriteHeader(code)
			_, _ = w.Write(other)
			return true
		}
	}
	const broken = 100_000
	last, n := len(data)-1, len(data)
	for _, tt := range []struct {
		name   string
		server flaky
		asked  int
	}{
		{"without a validator", flaky{}, 1},
		{"with a weak one", flaky{etag: `W/"a"`, changed: time.Now().Add(-time.Hour)}, 1},
		{"changed a moment ago", flaky{changed: time.Now()}, 1},
		{"changed since, or no ranges", flaky{etag: `"a"`, answer: status(http.StatusOK)}, 2},
		{"gone since", flaky{etag: `"a"`, answer: status(http.StatusNotFound)}, 2},
		{"nothing left", flaky{etag: `"a"`, answer: status(http.StatusRequestedRangeNotSatisfiable)}, 2},
		{"If-Range ignored", flaky{etag: `"a"`, answer: part(fmt.Sprintf("bytes %d-%d/%d", broken, last, n), `"b"`, other[broken:])}, 2},
		{"of another start", flaky{etag: `"a"`, answer: part(fmt.Sprintf("bytes %d-%d/%d", broken+1, last, n), `"a"`, other[broken+1:])}, 2},
		{"of another end", flaky{etag: `"a"`, answer: part(fmt.Sprintf("bytes %d-%d/%d", broken, last-1, n), `"a"`, other[broken:last])}, 2},
		{"of another size", flaky{etag: `"a"`, answer: part(fmt.Sprintf("bytes %d-%d/%d", broken, last+1, n+1), `"a"`, append(other[broken:], 0))}, 2},
		{"of no size", flaky{etag: `"a"`, answer: part(fmt.Sprintf("bytes %d-%d/*", broken, last), `"a"`, other[broken:])}, 2},
		{"of no range", flaky{etag: `"a"`, answer: part("", `"a"`, other[broken:])}, 2},
		{"more than said", flaky{etag: `"a"`, answer: part(fmt.Sprintf("bytes %d-%d/%d", broken, last, n), `"a"`, other)}, 2},
		{"less than said", flaky{etag: `"a"`, answer: part(fmt.Sprintf("bytes %d-%d/%d", broken, last, n), `"a"`, other[broken:last])}, 2},
		{"too often", flaky{etag: `"a"`, breaks: []int{broken, 1, 1, 1, 1}}, 5},
	} {
		f := tt.server
		f.data = data
		if f.breaks == nil {
			f.breaks = []int{broken}
		}
		got, _, err := f.fetch(t, fleet.Download{})
		if h, ok := HoldOf(err); err == nil || !ok || h.Name != fleet.HoldTruncated {
			t.Errorf("%s: %v, want %s", tt.name, err, fleet.HoldTruncated)
		}
		if !bytes.HasPrefix(data, got) || len(got) < broken {
			t.Errorf("%s: %d bytes, which are not the beginning of the file", tt.name, len(got))
		}
		if len(f.ranges) != tt.asked {
			t.Errorf("%s: asked by %q", tt.name, f.ranges)
		}
	}
}

// TestResumeEndsEarly: a server that leaves the length of the rest open, and
// sends less or more than its Content-Range.
func TestResumeEndsEarly(t *testing.T) {
	data := someBytes(1)
	for name, rest := range map[string][]byte{"less": data[100_000:200_000], "more": append(bytes.Clone(data[100_000:]), 0, 0, 0)} {
		f := &flaky{data: data, etag: `"a"`, breaks: []int{100_000}, answer: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", 100_000, len(data)-1, len(data)))
			w.WriteHeader(http.StatusPartialContent)
			w.(http.Flusher).Flush()
			_, _ = w.Write(rest)
			return true
		}}
		got, _, err := f.fetch(t, fleet.Download{})
		if h, ok := HoldOf(err); err == nil || !ok || h.Name != fleet.HoldTruncated || len(got) > len(data)+1 {
			t.Errorf("%s: %d bytes, %v, want %s", name, len(got), err, fleet.HoldTruncated)
		}
	}
}

// TestResumeStaysOnHosts: the rest comes from where a redirect may lead only.
func TestResumeStaysOnHosts(t *testing.T) {
	f := &flaky{data: someBytes(1), etag: `"a"`, breaks: []int{100_000}, answer: func(w http.ResponseWriter, r *http.Request, _ int) bool {
		http.Redirect(w, r, "https://elsewhere.example/setup.exe", http.StatusFound)
		return true
	}}
	_, _, err := f.fetch(t, fleet.Download{})
	if h, ok := HoldOf(err); err == nil || !ok || h.Name != fleet.HoldNotAllowed || len(f.ranges) != 2 {
		t.Errorf("%v, asked by %q", err, f.ranges)
	}
}

// TestResumeIsBounded: a file that grows past the stated size while it is read
// stays bounded by it.
func TestResumeIsBounded(t *testing.T) {
	f := &flaky{data: someBytes(1), etag: `"a"`, breaks: []int{100_000}}
	got, _, err := f.fetch(t, fleet.Download{Size: 200_000})
	if h, ok := HoldOf(err); err == nil || !ok || h.Name != fleet.HoldChangedHash || len(got) > 200_001 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	f = &flaky{data: someBytes(1), etag: `"a"`, breaks: []int{100_000}}
	got, _, err = f.fetch(t, fleet.Download{SHA256: fleet.DigestOf([]byte("others"))})
	if h, ok := HoldOf(err); err == nil || !ok || h.Name != fleet.HoldChangedHash || len(got) != len(f.data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestContentRange(t *testing.T) {
	for text, want := range map[string]bool{
		"bytes 5-9/10": true, "bytes 0-0/1": true, "bytes 5-10/10": false, "bytes 9-5/10": false, "bytes */10": false, "bytes 5-9/*": false,
		"5-9/10": false, "bytes 5-9": false, "bytes -5-9/10": false, "bytes +5-9/10": false, "": false, "bytes 5-9/99999999999999999999": false, "bytes 5-/10": false,
	} {
		if _, _, _, ok := contentRange(text); ok != want {
			t.Errorf("%q is read: %v, want %v", text, ok, want)
		}
	}
}
