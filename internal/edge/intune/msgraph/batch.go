package msgraph

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/transport"
)

// batchSize is how many requests Graph takes in one (Microsoft: "Combine
// multiple HTTP requests using JSON batching").
const batchSize = 20

// batchTries is how often a request of a batch is sent before its answer stands.
const batchTries = 8

// partsKey is where a context says how many requests one stands for: the service
// counts the parts of a batch, and not what carries them.
type partsKey struct{}

// A BatchCall is one request of a batch.
type BatchCall struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"` // below the version
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty"`

	Settled  func(status int, code, message string) bool `json:"-"` // an error that means "done already"
	IfAbsent bool                                        `json:"-"` // 404 may mean that the object is not everywhere yet
}

type batchAnswer struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// Batch makes the calls, twenty at a time, in a version of Graph ("v1.0", "beta").
// The outer answer says nothing: each request has a status of its own, and those
// that were throttled or unsettled are sent again. A call may be made twice.
func (c *Client) Batch(ctx context.Context, version string, calls []BatchCall) error {
	for start := 0; start < len(calls); start += batchSize {
		open := calls[start:min(start+batchSize, len(calls))]
		wait := time.Second
		for try := 1; len(open) > 0; try++ {
			again, asked, err := c.batchOnce(ctx, version, open, try == batchTries)
			if err != nil {
				return err
			}
			if open = again; len(open) == 0 {
				break
			}
			if err := c.clock.Sleep(ctx, max(wait, asked)); err != nil {
				return err
			}
			wait = min(2*wait, settleWait)
		}
	}
	return nil
}

// batchOnce sends one batch and returns what has to be sent again, and how long
// the service wants to be left alone. On the last try nothing is sent again.
func (c *Client) batchOnce(ctx context.Context, version string, calls []BatchCall, last bool) ([]BatchCall, time.Duration, error) {
	req := struct {
		Requests []BatchCall `json:"requests"`
	}{}
	for i, call := range calls {
		call.ID = strconv.Itoa(i + 1)
		if call.Body != nil {
			call.Headers = map[string]string{"Content-Type": "application/json"}
		}
		req.Requests = append(req.Requests, call)
	}
	var resp struct {
		Responses []batchAnswer `json:"responses"`
	}
	// Every call in here may be made twice: a second one finds it done.
	if err := c.Call(transport.Repeatable(context.WithValue(ctx, partsKey{}, len(calls))), Final, http.MethodPost, "/"+version+"/$batch", req, &resp); err != nil {
		return nil, 0, err
	}
	answers := map[string]batchAnswer{}
	for _, a := range resp.Responses {
		answers[a.ID] = a
	}
	var again []BatchCall
	var asked time.Duration
	for i, call := range calls {
		a, ok := answers[strconv.Itoa(i+1)]
		if !ok {
			return nil, 0, fmt.Errorf("the service left request %d of a batch unanswered", i+1)
		}
		done, err := call.judge(version, a)
		switch {
		case done:
		case last || !call.repeat(a.Status):
			return nil, 0, err
		default:
			again = append(again, call)
			asked = max(asked, retryAfter(a.Headers))
		}
	}
	return again, asked, nil
}

// judge reports whether a call is done, else the error its answer amounts to,
// which has the address that the call would have had by itself.
func (b BatchCall) judge(version string, a batchAnswer) (bool, error) {
	if a.Status >= 200 && a.Status < 300 {
		return true, nil
	}
	var doc struct {
		Error struct{ Code, Message string } `json:"error"`
	}
	_ = json.Unmarshal(a.Body, &doc) // a body of another form has no code
	if b.Settled != nil && b.Settled(a.Status, doc.Error.Code, doc.Error.Message) {
		return true, nil
	}
	return false, &transport.StatusError{Method: b.Method, URL: "/" + version + b.URL, Status: a.Status, Header: http.Header{}, Body: a.Body}
}

// repeat reports whether a status of this call may pass.
func (b BatchCall) repeat(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusConflict, http.StatusLocked,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusNotFound:
		return b.IfAbsent
	}
	return false
}

// retryAfter reads the seconds a part of a batch is told to wait.
func retryAfter(headers map[string]string) time.Duration {
	for name, value := range headers {
		if n, err := strconv.Atoi(value); err == nil && n >= 0 && strings.EqualFold(name, "Retry-After") {
			return min(time.Duration(n)*time.Second, transport.DefaultMaxWait)
		}
	}
	return 0
}
