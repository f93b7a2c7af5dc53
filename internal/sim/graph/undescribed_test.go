package graph_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// A gap is an operation that the service has and Microsoft's description lacks,
// with where that was read.
type gap struct {
	Version string `json:"version"` // "beta", "v1.0"
	Method  string `json:"method"`
	Path    string `json:"path"` // with {names}
	Source  string `json:"source"`

	match *regexp.Regexp
}

func (g gap) String() string { return strings.ToUpper(g.Method) + " " + g.Path }

var pathName = regexp.MustCompile(`\\\{[^}]*\\\}`)

// loadGaps reads testdata/undescribed.json once. Without the file there are none.
var loadGaps = sync.OnceValues(func() ([]gap, error) {
	data, err := os.ReadFile("testdata/undescribed.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseGaps(data)
})

func parseGaps(data []byte) ([]gap, error) {
	var list []gap
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("undescribed.json: %w", err)
	}
	for i, u := range list {
		if u.Version == "" || u.Method == "" || !strings.HasPrefix(u.Path, "/") || u.Source == "" {
			return nil, fmt.Errorf("undescribed.json: entry %d has no version, method, path or source", i+1)
		}
		list[i].match = regexp.MustCompile("^/" + u.Version + pathName.ReplaceAllString(regexp.QuoteMeta(u.Path), "[^/]+") + "$")
	}
	return list, nil
}

// checkUndescribed holds an exchange that the description has no operation for
// against the list, and objects in it against the types they name.
func (c *checker) checkUndescribed(con contract, r *http.Request, body []byte, status int, answer []byte, reason error) []string {
	list, err := loadGaps()
	if err != nil {
		return []string{err.Error()}
	}
	for _, u := range list {
		if !strings.EqualFold(u.Method, r.Method) || !u.match.MatchString(r.URL.Path) {
			continue
		}
		c.note(r, u.String(), status)
		if status >= 400 {
			return nil
		}
		untyped := &openapi3.SchemaRef{Value: &openapi3.Schema{}}
		return append(con.walk("request", untyped, decode(body), true), con.walk("answer", untyped, decode(answer), false)...)
	}
	return []string{"the description has no such operation, nor has testdata/undescribed.json: " + reason.Error()}
}

// describedOperations are all that the client may say: those of the description,
// in whichever version, and those it lacks.
func describedOperations() ([]string, error) {
	contracts, err := loadContracts()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, con := range contracts {
		for _, item := range con.doc.Paths.Map() {
			for _, operation := range item.Operations() {
				seen[operation.OperationID] = true
			}
		}
	}
	list, err := loadGaps()
	if err != nil {
		return nil, err
	}
	for _, u := range list {
		seen[u.String()] = true
	}
	return keys(seen), nil
}

// TestUndescribed keeps the list to what is really missing and really served.
func TestUndescribed(t *testing.T) {
	w := newWorld(t, nil)
	for _, u := range must[[]gap](t)(loadGaps()) {
		path := "/" + u.Version + strings.NewReplacer("{", "", "}", "").Replace(u.Path)
		r, err := http.NewRequest(strings.ToUpper(u.Method), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.checker.contracts[u.Version].router.FindRoute(r); err == nil {
			t.Errorf("%s %s: the description has it", u.Version, u)
		}
		if rec := w.past(r.Method, path, "{}"); strings.Contains(rec.Body.String(), "Resource not found for the segment") {
			t.Errorf("%s %s: the simulator does not have it", u.Version, u)
		}
	}
}

// TestGapsMatch lets only what is listed pass: its version, its method, its path.
func TestGapsMatch(t *testing.T) {
	list := must[[]gap](t)(parseGaps([]byte(`[{"version":"beta","method":"PUT","path":"/deviceManagement/configurationPolicies/{policy-id}","source":"a page"}]`)))
	if list[0].String() != "PUT /deviceManagement/configurationPolicies/{policy-id}" {
		t.Errorf("%s", list[0])
	}
	for path, want := range map[string]bool{
		"/beta/deviceManagement/configurationPolicies/1": true, "/v1.0/deviceManagement/configurationPolicies/1": false,
		"/beta/deviceManagement/configurationPolicies": false, "/beta/deviceManagement/configurationPolicies/1/settings": false,
	} {
		if got := list[0].match.MatchString(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	for _, bad := range []string{`{`, `[{}]`, `[{"version":"beta","method":"PUT","path":"/x"}]`, `[{"version":"beta","method":"PUT","path":"x","source":"a page"}]`} {
		if _, err := parseGaps([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	c := newChecker(t, nil)
	r, err := http.NewRequest(http.MethodPut, "/beta/deviceManagement/nothing/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if found := c.check(r, nil, http.StatusNoContent, http.Header{}, nil); len(found) != 1 || !strings.Contains(found[0], "nor has testdata/undescribed.json") {
		t.Errorf("found %v", found)
	}
}
