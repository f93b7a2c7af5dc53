package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// A contract is Microsoft's description of one version of Graph, cut down to
// what is used here (testdata/slice).
type contract struct {
	doc    *openapi3.T
	router routers.Router
}

// loadContracts reads both versions once for all tests.
var loadContracts = sync.OnceValues(func() (map[string]contract, error) {
	out := map[string]contract{}
	for _, version := range []string{"v1.0", "beta"} {
		data, err := os.ReadFile("testdata/graph-" + version + ".openapi.json")
		if err != nil {
			return nil, err
		}
		doc, err := openapi3.NewLoader().LoadFromData(data)
		if err != nil {
			return nil, err
		}
		doc.Servers = openapi3.Servers{{URL: "/" + version}}
		router, err := legacy.NewRouter(doc)
		if err != nil {
			return nil, err
		}
		out[version] = contract{doc, router}
	}
	return out, nil
})

// A checker stands before the simulator and holds every request and every
// answer against the description.
type checker struct {
	t         testing.TB
	next      http.Handler
	contracts map[string]contract

	lax  bool // answers of a later service may hold anything
	mu   sync.Mutex
	seen map[string]int // operation ids
	told func(operation string)
}

func newChecker(t testing.TB, next http.Handler) *checker {
	t.Helper()
	contracts, err := loadContracts()
	if err != nil {
		t.Fatal(err)
	}
	return &checker{t: t, next: next, contracts: contracts, seen: map[string]int{}}
}

// ServeHTTP passes a request on and complains where either side breaks the
// contract. The token endpoint and the storage, which have no description, have
// rules of their own. An answer that breaks off is not checked.
func (c *checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	version, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	c.tell(version, r)
	rec := httptest.NewRecorder()
	whole := served(c.next, rec, r)
	if whole {
		var found []string
		if _, ok := c.contracts[version]; ok {
			found = c.check(r, body, rec.Code, rec.Header(), rec.Body.Bytes())
		} else if r.Header.Get(madeByClient) != "" {
			found = checkPlain(plainExchange{r, body, rec.Body.Bytes(), rec.Code, rec.Header()})
		}
		for _, finding := range found {
			c.t.Errorf("%s %s (%d): %s", r.Method, r.URL.Path, rec.Code, finding)
		}
		if len(found) == 0 {
			w.Header().Set(wasValidated, "yes")
		}
	}
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	if whole || rec.Body.Len() > 0 {
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}
	if !whole {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// note keeps that an operation was validated.
func (c *checker) note(r *http.Request, operation string, status int) {
	version, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	c.mu.Lock()
	c.seen[version+" "+operation]++
	c.mu.Unlock()
	if status < 400 && r.Header.Get(madeByClient) != "" {
		spoken.exchange(operation, r.URL.Path)
	}
}

// check validates one exchange. Of a batch, each request in it as well.
func (c *checker) check(r *http.Request, body []byte, status int, header http.Header, answer []byte) (found []string) {
	version, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	con := c.contracts[version]
	request := r.Clone(context.Background())
	request.Body = io.NopCloser(bytes.NewReader(body))
	request.URL.Host, request.URL.Scheme, request.Host = "", "", ""
	route, params, err := con.router.FindRoute(request)
	if err != nil {
		return c.checkUndescribed(con, r, body, status, answer, err)
	}
	c.note(r, route.Operation.OperationID, status)
	if r.Header.Get(madeByClient) != "" && !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		found = append(found, "request: no bearer token went along")
	}
	once := checked.key(version, r, body, status, header, answer)
	if checked.has(once) && !c.lax {
		return found
	}
	defer func() {
		if len(found) == 0 && !c.lax {
			checked.add(once)
		}
	}()
	in := &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true,
	}}
	// What is refused as malformed may be malformed.
	if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil && status < 400 {
		found = append(found, "request: "+err.Error())
	}
	if status < 400 && route.Operation.RequestBody != nil {
		schema := route.Operation.RequestBody.Value.Content.Get("application/json").Schema
		found = append(found, con.walk("request", schema, decode(body), true)...)
	}
	if c.lax {
		return found
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(answer)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		found = append(found, "answer: "+err.Error())
	}
	if ref := route.Operation.Responses.Status(status); ref != nil {
		if media := ref.Value.Content.Get("application/json"); media != nil {
			found = append(found, con.walk("answer", media.Schema, decode(answer), false)...)
		}
	}
	if strings.HasSuffix(r.URL.Path, "/$batch") && status == http.StatusOK {
		found = append(found, c.checkBatch(r, version, body, answer)...)
	}
	return found
}

// checkBatch validates the parts of a batch as if they had come alone.
func (c *checker) checkBatch(r *http.Request, version string, body, answer []byte) []string {
	var requests struct {
		Requests []struct {
			ID, Method, URL string
			Body            json.RawMessage
		}
	}
	var responses struct {
		Responses []struct {
			ID     string
			Status int
			Body   json.RawMessage
		}
	}
	if json.Unmarshal(body, &requests) != nil || json.Unmarshal(answer, &responses) != nil {
		return []string{"batch cannot be read"}
	}
	var found []string
	for _, q := range requests.Requests {
		i := slices.IndexFunc(responses.Responses, func(a struct {
			ID     string
			Status int
			Body   json.RawMessage
		}) bool {
			return a.ID == q.ID
		})
		inner, err := http.NewRequest(q.Method, "/"+version+q.URL, nil)
		if i < 0 || err != nil {
			found = append(found, "part "+q.ID+" of the batch has no answer")
			continue
		}
		header := http.Header{}
		inner.Header.Set(madeByClient, r.Header.Get(madeByClient))
		inner.Header.Set("Authorization", r.Header.Get("Authorization"))
		if q.Body != nil {
			inner.Header.Set("Content-Type", "application/json")
		}
		a := responses.Responses[i]
		if a.Body != nil {
			header.Set("Content-Type", "application/json")
		}
		for _, f := range c.check(inner, q.Body, a.Status, header, a.Body) {
			found = append(found, fmt.Sprintf("part %s of the batch, %s %s (%d): %s", q.ID, q.Method, q.URL, a.Status, f))
		}
	}
	return found
}

func decode(data []byte) any {
	var v any
	if json.Unmarshal(data, &v) != nil {
		return nil
	}
	return v
}

// walk holds a value against a schema more strictly than OpenAPI does: objects
// are of the type their @odata.type names, may have no property the type does
// not know, and lists of flags hold known ones. Requests may not write what the
// service alone writes.
func (c contract) walk(at string, ref *openapi3.SchemaRef, v any, request bool) []string {
	var found []string
	switch v := v.(type) {
	case map[string]any:
		schema := ref.Value
		if kind, ok := v["@odata.type"].(string); ok {
			derived := c.doc.Components.Schemas[strings.TrimPrefix(kind, "#")]
			if derived == nil {
				return []string{at + ": the description has no type " + kind}
			}
			schema = derived.Value
			if err := schema.VisitJSON(v); err != nil {
				found = append(found, at+": as "+kind+": "+err.Error())
			}
		}
		props := map[string]*openapi3.SchemaRef{}
		properties(schema, props)
		if len(props) == 0 {
			return found // an untyped object
		}
		for name, value := range v {
			switch p := props[name]; {
			case strings.Contains(name, "@odata."):
			case undescribedProperties[fmt.Sprint(v["@odata.type"], " ", name)] != "":
			case p == nil:
				found = append(found, at+"."+name+": the type has no such property")
			case request && p.Value.ReadOnly:
				found = append(found, at+"."+name+": only the service writes it")
			default:
				found = append(found, c.walk(at+"."+name, p, value, request)...)
			}
		}
	case []any:
		for i, item := range v {
			if ref.Value.Items != nil {
				found = append(found, c.walk(fmt.Sprintf("%s[%d]", at, i), ref.Value.Items, item, request)...)
			}
		}
	case string:
		flags, ok := ref.Value.Extensions["x-enum-flags"].(string)
		if !ok {
			return nil
		}
		for flag := range strings.SplitSeq(v, ",") {
			if known := c.doc.Components.Schemas[flags]; known == nil || !slices.Contains(known.Value.Enum, any(flag)) {
				found = append(found, at+": "+flags+" has no "+flag)
			}
		}
	}
	return found
}

// properties collects a type's own and inherited properties.
func properties(s *openapi3.Schema, into map[string]*openapi3.SchemaRef) {
	for name, p := range s.Properties {
		into[name] = p
	}
	for _, base := range s.AllOf {
		properties(base.Value, into)
	}
}

// TestCheckerFinds proves that the checker sees what it is there for.
func TestCheckerFinds(t *testing.T) {
	c := newChecker(t, nil)
	const path = "/beta/deviceAppManagement/mobileApps"
	good := `{"@odata.type":"#microsoft.graph.win32LobApp","displayName":"x","allowedArchitectures":"x64,arm64"}`
	for name, tt := range map[string]struct {
		path, body, answer string
		status             int
		want               string
	}{
		"good":               {path, good, good, 201, ""},
		"unknown route":      {"/beta/deviceAppManagement/none", good, good, 201, "no such operation"},
		"not in v1.0":        {"/v1.0/deviceAppManagement/mobileApps", `{"@odata.type":"#microsoft.graph.win32LobApp","displayVersion":"1"}`, good, 201, "request.displayVersion"},
		"misspelt":           {path, `{"@odata.type":"#microsoft.graph.win32LobApp","displayname":"x"}`, good, 201, "request.displayname"},
		"wrong type":         {path, `{"@odata.type":"#microsoft.graph.win32LobApp","displayVersion":1}`, good, 201, "displayVersion"},
		"read-only":          {path, `{"@odata.type":"#microsoft.graph.win32LobApp","size":1}`, good, 201, "only the service writes it"},
		"unknown flag":       {path, `{"@odata.type":"#microsoft.graph.win32LobApp","allowedArchitectures":"x64,mips"}`, good, 201, "mips"},
		"wrong enum, deeper": {path, `{"@odata.type":"#microsoft.graph.win32LobApp","rules":[{"@odata.type":"#microsoft.graph.win32LobAppRegistryRule","operator":"like"}]}`, good, 201, "operator"},
		"wrong answer":       {path, good, `{"@odata.type":"#microsoft.graph.win32LobApp","publishingState":"soon"}`, 201, "publishingState"},
		"wrong status":       {path, good, good, 202, "status"},
	} {
		r := httptest.NewRequest("POST", tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", "application/json")
		found := strings.Join(c.check(r, []byte(tt.body), tt.status, http.Header{"Content-Type": {"application/json"}}, []byte(tt.answer)), "\n")
		if (tt.want == "") != (found == "") || !strings.Contains(found, tt.want) {
			t.Errorf("%s: found %q, want %q", name, found, tt.want)
		}
	}
}

// TestSliceIsServed asks for every operation of the description: the simulator
// has each of them, so that the slice holds nothing that nobody speaks.
func TestSliceIsServed(t *testing.T) {
	w := newWorld(t, nil)
	operations := 0
	for version, con := range w.checker.contracts {
		for path, item := range con.doc.Paths.Map() {
			for method := range item.Operations() {
				operations++
				r := httptest.NewRequest(method, "/"+version+strings.NewReplacer("{", "", "}", "").Replace(path), strings.NewReader("{}"))
				r.Header.Set("Authorization", "Bearer "+w.server.Token(nordic))
				rec := httptest.NewRecorder()
				w.server.ServeHTTP(rec, r)
				if strings.Contains(rec.Body.String(), "Resource not found for the segment") || rec.Code >= 500 {
					t.Errorf("%s %s%s: %d %s", method, version, path, rec.Code, rec.Body)
				}
			}
		}
	}
	if operations < 40 {
		t.Errorf("only %d operations were tried", operations)
	}
}

// times is how often an operation was called, in any version.
func (c *checker) times(operation string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen["v1.0 "+operation] + c.seen["beta "+operation]
}

// before has a function told of every operation before it is served.
func (c *checker) before(f func(operation string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = f
}

func (c *checker) tell(version string, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, described := c.contracts[version]; c.told == nil || !described {
		return
	}
	request := r.Clone(context.Background())
	request.URL.Host, request.URL.Scheme, request.Host = "", "", ""
	if route, _, err := c.contracts[version].router.FindRoute(request); err == nil {
		c.told(route.Operation.OperationID)
	}
}
