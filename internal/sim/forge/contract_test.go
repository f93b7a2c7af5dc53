package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// A contract holds every call of the API against GitHub's own description: the
// request before the forge sees it, the answer before the client does.
type contract struct {
	t testing.TB
	description
	next http.Handler

	mu   sync.Mutex
	seen map[string]int // "METHOD path status" → calls
}

// A description is GitHub's, ready to be asked.
type description struct {
	routes []*route
	error  *openapi3.Schema // the common form of errors
}

type route struct {
	routers.Route
	pattern *regexp.Regexp
	names   []string
}

func newContract(t testing.TB, next http.Handler) *contract {
	t.Helper()
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	return &contract{t: t, description: d, next: next, seen: map[string]int{}}
}

// described reads the description once.
var described = sync.OnceValues(func() (description, error) {
	data, err := os.ReadFile(filepath.Join("testdata", "openapi", "github.json"))
	if err != nil {
		return description{}, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return description{}, err
	}
	d := description{error: doc.Components.Schemas["basic-error"].Value}
	variable := regexp.MustCompile(`\\\{([a-z_]+)\\\}`)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			r := &route{Route: routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op}}
			pattern := variable.ReplaceAllStringFunc(regexp.QuoteMeta(path), func(name string) string {
				r.names = append(r.names, strings.Trim(name, `\{}`))
				if strings.HasPrefix(path, "/repos/{owner}/{repo}/git/ref/") && len(r.names) == 3 {
					return `(.+)` // a ref's slashes stand as they are
				}
				return `([^/]+)`
			})
			r.pattern = regexp.MustCompile("^" + apiRoot + pattern + "$")
			d.routes = append(d.routes, r)
		}
	}
	return d, nil
})

// find is the described operation of a request, with its path parameters.
func (c *contract) find(r *http.Request) (*route, map[string]string) {
	for _, candidate := range c.routes {
		m := candidate.pattern.FindStringSubmatch(r.URL.EscapedPath())
		if m == nil || candidate.Method != r.Method {
			continue
		}
		params := map[string]string{}
		for i, name := range candidate.names {
			value, err := url.PathUnescape(m[i+1])
			if err != nil {
				return nil, nil
			}
			params[name] = value
		}
		return candidate, params
	}
	return nil, nil
}

func (c *contract) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, apiRoot) {
		c.next.ServeHTTP(w, r)
		return
	}
	route, params := c.find(r)
	if route == nil {
		c.t.Errorf("%s %s is not described", r.Method, r.URL)
		http.Error(w, "not described", http.StatusNotImplemented)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	options := &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true, SkipSettingDefaults: true,
		RejectWhenRequestBodyNotSpecified: true, SchemaValidationOptions: []openapi3.SchemaValidationOption{
			openapi3.EnableFormatValidation(),
			openapi3.WithStringFormatValidator("uri", openapi3.NewCallbackValidator(checkURI)),
		},
	}
	copied := r.Clone(r.Context())
	copied.Body = io.NopCloser(bytes.NewReader(body))
	in := &openapi3filter.RequestValidationInput{Request: copied, PathParams: params, Route: &route.Route, Options: options}
	what := r.Method + " " + route.Path
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		c.t.Errorf("%s: the request does not conform: %v\n%s", what, err, body)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := &kept{header: w.Header(), status: http.StatusOK}
	c.next.ServeHTTP(answer, r)
	c.check(r.Context(), what, route, in, answer, options)
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body.Bytes())
}

func checkURI(s string) error {
	u, err := url.Parse(s)
	if err == nil && (u.Scheme == "" || u.Host == "" || strings.ContainsAny(s, "{} ")) {
		err = fmt.Errorf("%q is no address", s)
	}
	return err
}

// check holds the answer against the description. Statuses that an operation
// does not list occur on GitHub as well (401, 403, 404, 405 …): they must be
// errors in the common form.
func (c *contract) check(ctx context.Context, what string, route *route, in *openapi3filter.RequestValidationInput, answer *kept, options *openapi3filter.Options) {
	c.mu.Lock()
	c.seen[fmt.Sprintf("%s %d", what, answer.status)]++
	c.mu.Unlock()
	if answer.status >= 500 {
		c.t.Errorf("%s: %d %s", what, answer.status, answer.body.String())
		return
	}
	if route.Operation.Responses.Status(answer.status) == nil {
		var v any
		if err := json.Unmarshal(answer.body.Bytes(), &v); err != nil || answer.status < 400 {
			c.t.Errorf("%s: status %d is not described, and no error: %s", what, answer.status, answer.body.String())
		} else if err := c.error.VisitJSON(v); err != nil {
			c.t.Errorf("%s: status %d is no common error: %v", what, answer.status, err)
		}
		return
	}
	err := openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: answer.status, Header: answer.header,
		Body: io.NopCloser(bytes.NewReader(answer.body.Bytes())), Options: options,
	})
	if err != nil {
		c.t.Errorf("%s: the answer %d does not conform: %v\n%.2000s", what, answer.status, err, answer.body.String())
	}
}

// unseen are the described operations that no call went to.
func (c *contract) unseen() (out []string) {
	for _, r := range c.routes {
		called := false
		for key := range c.seen {
			called = called || strings.HasPrefix(key, r.Method+" "+r.Path+" 2")
		}
		if !called {
			out = append(out, r.Method+" "+r.Path)
		}
	}
	slices.Sort(out)
	return out
}

// A listener notes errors instead of failing the test.
type listener struct {
	testing.TB
	heard []string
}

func (l *listener) Errorf(format string, args ...any) {
	l.heard = append(l.heard, fmt.Sprintf(format, args...))
}

// TestContractFinds proves that the contract notices what it is there for.
func TestContractFinds(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, body, answer string
		status                     int
		says                       string
	}{
		"unknown operation": {"GET", "/repos/o/n/nothing", "", `{}`, 200, "is not described"},
		"wrong request":     {"POST", "/repos/o/n/pulls", `{"title":7}`, `{"message":"x","documentation_url":"https://x.example"}`, 422, "request does not conform"},
		"wrong answer":      {"GET", "/repos/o/n/pulls", "", `[{"number":"one"}]`, 200, "answer 200 does not conform"},
		"no address":        {"GET", "/repos/o/n/issues/1/labels", "", `[{"id":1,"node_id":"","url":"nowhere","name":"","description":"","color":"","default":false}]`, 200, "is no address"},
		"odd status":        {"GET", "/repos/o/n/pulls", "", `[]`, 206, "is not described"},
		"odd error":         {"GET", "/repos/o/n/pulls", "", `{"message":7}`, 403, "no common error"},
		"defect":            {"GET", "/repos/o/n/pulls", "", `{}`, 500, "500"},
	} {
		l := &listener{TB: t}
		contract := newContract(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.answer)
		}))
		req := httptest.NewRequest(c.method, "http://forge.example"+apiRoot+c.path, strings.NewReader(c.body))
		if c.body != "" {
			req.Header.Set("Content-Type", "application/json")
		} else {
			req.Body = http.NoBody
		}
		contract.ServeHTTP(httptest.NewRecorder(), req)
		if len(l.heard) == 0 || !strings.Contains(strings.Join(l.heard, "\n"), c.says) {
			t.Errorf("%s: heard %q, want %q", name, l.heard, c.says)
		}
	}
}
