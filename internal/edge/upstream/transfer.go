package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	maxResumes  = 4 // of one download
	resumeWait  = time.Second
	strongAfter = time.Minute // from a Last-Modified to the Date of its answer
)

// A transfer is how a download is asked for: at first, and again for the rest
// once it broke off (RFC 9110, sections 13.1.5 and 14). The rest is asked for only
// with a strong validator of the first answer, and taken only from an answer that
// carries the same one: bytes of two files are never put together. Each request
// starts at the same address, behind the same guard, and its redirects are judged
// in the same way; where they end may differ, as addresses that are signed for
// some minutes do.
type transfer struct {
	ctx     context.Context // Fetch's: the body is read under it
	client  *transport.Client
	clock   fleet.Clock
	address string
	want    expected

	etag, modified string // of the first answer; both empty: it cannot be resumed
	length         int64  // of all bytes as the server told; -1 when it did not
	resumes        int
}

// begin asks for all of the bytes.
func (t *transfer) begin() (*http.Response, error) {
	resp, err := t.ask(0)
	if err != nil {
		return nil, wrongSize(err, t.want)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, holdf(fleet.HoldUnreachable, "%s: answered %d", transport.RedactURL(resp.Request.URL), resp.StatusCode)
	}
	t.length = resp.ContentLength
	t.etag, t.modified = strongValidator(resp.Header)
	return resp, nil
}

func (t *transfer) ask(from int64) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodGet, t.address, nil)
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "upstream.fetch", t.address, "malformed address: %w", err)
	}
	// Digests are of the bytes as they are stored, not of a compressed transfer.
	req.Header.Set("Accept-Encoding", "identity")
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		req.Header.Set("If-Range", t.etag+t.modified)
	}
	limit := int64(maxDownload)
	if t.want.size > 0 {
		limit = t.want.size + 1 // one more byte is enough to see that there are more
	}
	return t.client.Limit(limit-from).Do(t.ctx, req)
}

// strongValidator is what tells the bytes of an answer apart from any others at
// the address: an entity tag that is not weak, or, where there is none, a
// modification time that is safely before the answer's own.
func strongValidator(h http.Header) (etag, modified string) {
	if etag = h.Get("ETag"); etag != "" {
		if strings.HasPrefix(etag, `"`) {
			return etag, ""
		}
		return "", ""
	}
	changed, err := http.ParseTime(h.Get("Last-Modified"))
	sent, dateErr := http.ParseTime(h.Get("Date"))
	if err != nil || dateErr != nil || sent.Sub(changed) < strongAfter {
		return "", ""
	}
	return "", h.Get("Last-Modified")
}

// rest is the body after the first n bytes, of a download that broke off with an
// error. What cannot be taken up fails with that error; what must not, with a
// hold.
func (t *transfer) rest(n int64, broke error) (io.ReadCloser, error) {
	var large *transport.TooLargeError
	if errors.As(broke, &large) || n > 0 && t.etag+t.modified == "" {
		return nil, broke
	}
	for t.resumes < maxResumes {
		wait := resumeWait << t.resumes
		t.resumes++
		if err := t.clock.Sleep(t.ctx, wait); err != nil {
			return nil, err
		}
		resp, err := t.resume(n)
		var hold *Hold
		switch {
		case err == nil:
			return resp, nil
		case errors.As(err, &hold), errors.As(err, &large), transport.StatusOf(err) != 0, !t.passing(err):
			return nil, err
		}
	}
	return nil, broke
}

// passing reports whether a request that got no answer may get one later.
func (t *transfer) passing(err error) bool {
	var guard *transport.GuardError
	var redirect *transport.RedirectError
	return t.ctx.Err() == nil && !errors.As(err, &guard) && !errors.As(err, &redirect)
}

// resume asks for what follows the first n bytes. Nothing was handed out yet when
// n is 0: any bytes will do.
func (t *transfer) resume(n int64) (io.ReadCloser, error) {
	if n == 0 {
		resp, err := t.begin()
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}
	resp, err := t.ask(n)
	if status := transport.StatusOf(err); status != 0 {
		return nil, holdf(fleet.HoldTruncated, "the download broke off after %d bytes, and the rest is refused: %w", n, err)
	}
	if err != nil {
		return nil, err
	}
	if why := t.unlike(resp, n); why != "" {
		resp.Body.Close()
		return nil, holdf(fleet.HoldTruncated, "the download broke off after %d bytes, and cannot go on: %s", n, why)
	}
	// One more byte is enough to see that there are more than the server told.
	return readCloser{io.LimitReader(resp.Body, t.length-n+1), resp.Body}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// unlike tells why an answer is not the rest after the first n bytes, "" when it
// is.
func (t *transfer) unlike(resp *http.Response, n int64) string {
	if resp.StatusCode != http.StatusPartialContent {
		return fmt.Sprintf("the server answers %d to a request for the rest: it changed the file, or serves files only as a whole", resp.StatusCode)
	}
	if t.etag != "" && resp.Header.Get("ETag") != t.etag || t.modified != "" && resp.Header.Get("Last-Modified") != t.modified {
		return "the rest that the server offers is not marked as of the same file"
	}
	text := resp.Header.Get("Content-Range")
	first, last, whole, ok := contentRange(text)
	switch {
	case !ok || first != n || last != whole-1:
		return fmt.Sprintf("the server offers %q, not the rest", shorten(text))
	case t.length >= 0 && whole != t.length:
		return fmt.Sprintf("the file had %d bytes before, now it has %d", t.length, whole)
	case resp.ContentLength >= 0 && resp.ContentLength != whole-n:
		return fmt.Sprintf("the server offers %q, but sends %d bytes", shorten(text), resp.ContentLength)
	}
	t.length = whole
	return ""
}

// contentRange reads "bytes 5-9/10"; a whole that is not told (*) is not read.
func contentRange(text string) (first, last, whole int64, ok bool) {
	text, isBytes := strings.CutPrefix(text, "bytes ")
	span, all, told := strings.Cut(text, "/")
	from, to, both := strings.Cut(span, "-")
	var out [3]int64
	for i, s := range []string{from, to, all} {
		n, err := strconv.ParseUint(s, 10, 63)
		if err != nil {
			return 0, 0, 0, false
		}
		out[i] = int64(n)
	}
	return out[0], out[1], out[2], isBytes && told && both && out[0] <= out[1] && out[1] < out[2]
}
