package graph_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The contract test asks of the client's source which requests it can make, and
// of all tests of this package which of them were made and held against
// Microsoft's description. A request that nobody made is an error that names its
// file and line. A new area needs no entry here: a test of it in this package
// whose client comes from world.client, or from msgraph with world.transport, is
// enough.

// clientFolder is the source of the client.
const clientFolder = "internal/edge/intune/"

// Headers between the client's end of a connection and the checker's.
const (
	madeByClient = "X-Made-By-Client" // on a request: it comes from the client, not from a test's own hand
	wasValidated = "X-Was-Validated"  // on an answer: request and answer were held against the description
)

// spoken is what the tests of this package have seen so far.
var spoken = &speech{places: map[place]bool{}, operations: map[string]bool{}, paths: map[string]bool{}}

// A speech is what was said in validated exchanges.
type speech struct {
	mu         sync.Mutex
	places     map[place]bool
	operations map[string]bool // "beta operation id"
	paths      map[string]bool // with version, without query
}

// A place is a line of the client's source, its file below clientFolder.
type place struct {
	file string
	line int
}

// a listener is the connection beneath the client's transport: it notes from
// where in the client a request comes.
type listener struct {
	base http.RoundTripper
	to   *speech
}

// RoundTrip marks the request and notes its origin if the exchange was
// validated.
func (l listener) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(madeByClient, "yes")
	resp, err := l.base.RoundTrip(r)
	if err == nil && resp.StatusCode < 400 && resp.Header.Get(wasValidated) != "" {
		l.to.note(callers())
	}
	return resp, err
}

func (s *speech) note(places []place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range places {
		s.places[p] = true
	}
}

// exchange notes an operation that was validated, and its path.
func (s *speech) exchange(operation, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.operations[operation], s.paths[path] = true, true
}

// callers are the lines of the client that led here.
func callers() []place {
	pcs := make([]uintptr, 100)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var out []place
	for {
		frame, more := frames.Next()
		if _, file, ok := strings.Cut(frame.File, clientFolder); ok {
			out = append(out, place{file, frame.Line})
		}
		if !more {
			return out
		}
	}
}

// silent are the sites and paths of the source from which no validated exchange
// came.
func (s *speech) silent(source *clientSource) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := map[site]bool{}
	for p := range s.places {
		// Of calls within each other the innermost was made.
		best := -1
		for i, at := range source.sites {
			if at.file == p.file && at.from <= p.line && p.line <= at.to && (best < 0 || at.to-at.from <= source.sites[best].to-source.sites[best].from) {
				best = i
			}
		}
		if best >= 0 {
			heard[source.sites[best]] = true
		}
	}
	var out []string
	for _, at := range source.sites {
		if !heard[at] {
			out = append(out, clientFolder+at.String()+": no validated exchange came from this call")
		}
	}
	for name, re := range source.paths {
		if !slices.ContainsFunc(keys(s.paths), re.MatchString) {
			out = append(out, clientFolder+name+": no validated exchange had this path")
		}
	}
	slices.Sort(out)
	return out
}

// othersOnly are operations that only people in the tenant use: the simulator
// serves them for tests that play their part.
func othersOnly() []string {
	const (
		filter = "_deviceManagement_assignmentFilters_deviceAndAppManagementAssignmentFilter_id"
		page   = "_deviceManagement_deviceEnrollmentConfigurations_deviceEnrollmentConfiguration_id"
	)
	return []string{
		"post_deviceManagement_assignmentFilters", "post_deviceManagement_assignmentFilters_validateFilter", "get" + filter, "patch" + filter, "delete" + filter,
		"post_deviceManagement_deviceEnrollmentConfigurations", "get" + page, "patch" + page, "delete" + page,
		"post_deviceAppManagement_mobileAppCategories", "post_deviceManagement_roleScopeTags",
		"delete_deviceAppManagement_mobileApps_mobileApp_id", "delete_groups_group_id", "get_deviceManagement_deviceHealthScripts_deviceHealthScript_id",
	}
}

// unspoken are the operations of the description, and of the list of what it
// lacks, that the client never used.
func (s *speech) unspoken(all []string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, operation := range all {
		if !s.operations[operation] && !slices.Contains(othersOnly(), operation) {
			out = append(out, operation+": the description has it, and the client never said it: use it in a test, or take it out of testdata/slice or undescribed.json, or name it in othersOnly")
		}
	}
	slices.Sort(out)
	return out
}

func keys(m map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// wholePackage reports whether this run has all tests of the package.
func wholePackage() bool {
	for name, value := range map[string]string{"test.run": "", "test.skip": "", "test.list": "", "test.fuzz": "", "test.short": "false"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != value {
			return false
		}
	}
	return true
}

// TestMain runs the tests and then asks what they have left unsaid.
func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(400) // the descriptions are large, live long, and are marked again and again
	code := m.Run()
	if !wholePackage() {
		os.Exit(code)
	}
	missing, summary, err := unsaid(spoken, "../../edge/intune")
	if err != nil {
		fmt.Fprintln(os.Stderr, "contract:", err)
		os.Exit(1)
	}
	if err := figure("contract: %s", summary); err != nil {
		fmt.Fprintln(os.Stderr, "contract:", err)
		code = 1
	}
	if len(missing) > 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "--- FAIL: contract: %d of the client's requests were never held against Microsoft's description:\n\t%s\n"+
			"Let a test of this package make the request: newWorld(t, nil), then world.client or a client on world.transport.\n"+
			"The description's part of it goes into a file of testdata/slice, or, when Microsoft does not describe it, into testdata/undescribed.json with its source.\n",
			len(missing), strings.Join(missing, "\n\t"))
		code = 1
	}
	os.Exit(code)
}

// unsaid are the requests of the client that no validated exchange came from.
func unsaid(s *speech, root string) (missing []string, summary string, err error) {
	source, err := readClient(root)
	if err != nil {
		return nil, "", err
	}
	operations, err := describedOperations()
	if err != nil {
		return nil, "", err
	}
	missing = append(s.silent(source), s.unspoken(operations)...)
	summary = fmt.Sprintf("%d call sites and %d paths of the client, %d operations; %d without a validated exchange",
		len(source.sites), len(source.paths), len(operations), len(missing))
	if len(source.sites) < 20 {
		err = fmt.Errorf("only %d call sites were found: the scan looks at nothing", len(source.sites))
	}
	return missing, summary, err
}

// TestContractMisses proves that a call without an exchange is told with its
// place, and a call with one is not.
func TestContractMisses(t *testing.T) {
	source := must[*clientSource](t)(readClient("testdata/client"))
	s := &speech{places: map[place]bool{{"area.go", 18}: true, {"area.go", 30}: true, {"area.go", 22}: true}, paths: map[string]bool{"/beta/things/1/parts": true}, operations: map[string]bool{"beta a": true}}
	silent := strings.Join(s.silent(source), "\n")
	for _, want := range []string{"area.go:26 (change)", "area.go:34 (Batch)", "area.go:40 (Do)", "area.go:46 (storage)"} {
		if !strings.Contains(silent, want) {
			t.Errorf("%s is not missed: %s", want, silent)
		}
	}
	for _, said := range []string{"area.go:18", "area.go:22", "area.go:29", "partsPath", "thingsPath"} {
		if strings.Contains(silent, said) {
			t.Errorf("%s is missed: %s", said, silent)
		}
	}
	if got := s.unspoken([]string{"beta a", "beta b"}); len(got) != 1 || !strings.HasPrefix(got[0], "beta b") {
		t.Errorf("unspoken %v", got)
	}
}
