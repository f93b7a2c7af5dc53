package graph

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// shortPage is how much of a list the service sends at once unless it feels
// like more.
const shortPage = 25

// Pitfalls are habits of the service that break clients written against its
// documentation alone, each a switch of its own; public reports of each are
// what it is modelled on. The zero value has none of them. What a single call
// may meet besides is a Fault.
//
// Three pitfalls are no switches, since the service always has them: while no
// content of an app was ever made current, a second content version is refused;
// reports that are gone (deviceStatuses, userStatuses, installSummary of an app)
// answer 400; and a whole-set call takes what it is not sent for removed.
type Pitfalls struct {
	// ShortPages ends every page of a list after 25 entries, whatever $top asks:
	// who reads only the first page makes everything again that is not on it.
	ShortPages bool
	// Unsettled is how many requests are refused that concern an object just
	// made, and what is below it: with 404, 409 and 423 in turn.
	Unsettled int
	// StaleAssignments is how many times the assignments of an object are told
	// as they were before they were set.
	StaleAssignments int
	// MuteThrottle refuses every n-th request with 429 and without Retry-After.
	MuteThrottle int
	// BatchParts refuses every n-th part of batches that are themselves answered
	// with 200: with 429 and Retry-After, 503, 409, 500 in turn.
	BatchParts int
	// SASBlocks ends an upload address after that many requests, long before
	// the instant it states.
	SASBlocks int
	// TokenEnds takes no token at the first commit of a file that was issued
	// before: an upload outlasts the token it began with.
	TokenEnds bool
	// FirstContent is the number of an app's first content version. Clients that
	// make "1" current publish nothing, or what was there before.
	FirstContent int
	// Future answers as a later service would: with properties and columns nobody
	// knows, and with unknownFutureValue for states that pass. It takes targets of
	// assignments that are not simulated.
	Future bool
	// Lacks are operations that are not enabled in the tenants, and the status
	// they answer with: 400 or 403. A name ends with a dot to mean an area.
	Lacks map[string]int
	// LostCreates is how many answers to creations of each kind get lost though
	// the object was made.
	LostCreates int
	// BareBundles has devices report version "0" of an application whose package
	// states no CFBundleShortVersionString: a rule that asks for the release's never
	// finds it, and the app is installed again and again.
	BareBundles bool
	// SupersededStays is how many times an app and its contents cannot be deleted yet
	// after the last relation that named it was taken away.
	SupersededStays int
}

// habits are what is left to go wrong in a tenant by the world's pitfalls, since
// the server started.
type habits struct {
	unsettled map[string]int   // requests refused yet, by the path of an object
	refused   int              // how many were, for the status of the next
	stale     map[string]stale // answers told yet, by the path of a list
	parts     int              // of batches
	uses      map[string]int   // of the present upload address, by file
	ended     map[string]int   // addresses that ended before their time, by file
	committed map[string]bool  // files whose commit was asked for
	lost      map[string]int   // answers to creations, by operation
	stays     map[string]int   // deletions refused yet, by app
}

// stale is an earlier state of a list.
type stale struct {
	body any
	left int
}

// pitfalls runs an operation of Graph as a service with the world's pitfalls
// does. It is called with the tenant locked.
func (s *Server) pitfalls(r *request, operation string, h handler) (reply, error) {
	p, t := s.o.Pitfalls, r.t
	if status := p.lacks(operation); status != 0 {
		return reply{}, fail(status, "Forbidden", "The feature is not enabled for this tenant.")
	}
	if p.TokenEnds && operation == "file.commit" && !t.habits.committed[r.URL.Path] {
		put(&t.habits.committed, r.URL.Path, true)
		t.revoked.Store(s.issued.Load() + 1)
		return reply{}, fail(http.StatusUnauthorized, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")
	}
	path := resourcePath(r.URL.Path)
	if err := t.notSettled(path); err != nil {
		return reply{}, err
	}
	if old := t.habits.stale[path]; r.Method == http.MethodGet && old.left > 0 {
		old.left--
		t.habits.stale[path] = old
		return ok(old.body)
	}
	if err := t.staying(r, operation); err != nil {
		return reply{}, err
	}
	hooked := t.hooked(operation)
	var before any
	set, isSet := strings.CutSuffix(path, "/assign")
	if isSet && p.StaleAssignments > 0 {
		before = s.earlier(r)
	}
	rep, err := h(r)
	if err != nil {
		return rep, err
	}
	for _, a := range hooked {
		if !t.named(a) {
			put(&t.habits.stays, a.ID, p.SupersededStays)
		}
	}
	if before != nil {
		put(&t.habits.stale, set+"/assignments", stale{before, p.StaleAssignments})
	}
	if rep.status == http.StatusCreated {
		t.created(r, path, operation, rep)
	}
	if p.Future {
		rep.advance()
	}
	return rep, nil
}

// lacks is the status of an operation that tenants do not have, else 0.
func (p Pitfalls) lacks(operation string) int {
	for name, status := range p.Lacks {
		if name == operation || strings.HasSuffix(name, ".") && strings.HasPrefix(operation, name) {
			return status
		}
	}
	return 0
}

// resourcePath names an object whatever version and spelling it is asked by.
func resourcePath(path string) string {
	_, below, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return strings.ReplaceAll(below, "/microsoft.graph.", "/graph.")
}

func put[V any](m *map[string]V, key string, value V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = value
}

// notSettled refuses a request that concerns a new object, or one below it.
func (t *tenant) notSettled(path string) error {
	for _, at := range slices.Sorted(maps.Keys(t.habits.unsettled)) {
		if t.habits.unsettled[at] <= 0 || path != at && !strings.HasPrefix(path, at+"/") {
			continue
		}
		t.habits.unsettled[at]--
		t.habits.refused++
		switch t.habits.refused % 3 {
		case 1:
			return notFound("the object")
		case 2:
			return fail(http.StatusConflict, "Conflict", "The object is being created.")
		}
		return fail(http.StatusLocked, "ResourceLocked", "The object is locked.")
	}
	return nil
}

// hooked are the apps that relations name before some of them may be taken away.
func (t *tenant) hooked(operation string) (out []*app) {
	if t.s.o.Pitfalls.SupersededStays == 0 || operation != "app.relate" {
		return nil
	}
	for _, a := range t.apps {
		if t.named(a) {
			out = append(out, a)
		}
	}
	return out
}

// staying refuses to delete an app, or content of one, whose relations are not
// forgotten yet.
func (t *tenant) staying(r *request, operation string) error {
	id := r.PathValue("app")
	if operation != "app.delete" && operation != "file.delete" || t.habits.stays[id] <= 0 {
		return nil
	}
	t.habits.stays[id]--
	return badRequest("the app is superseded by another one, or another one depends on it")
}

// created notes what the pitfalls and the request's fault have in store for a
// new object, and whether its maker is told of it.
func (t *tenant) created(r *request, path, operation string, rep reply) {
	p := t.s.o.Pitfalls
	if made, ok := rep.body.(map[string]any); ok && max(p.Unsettled, r.fault.Hide) > 0 {
		if id, ok := made["id"].(string); ok {
			put(&t.habits.unsettled, path+"/"+id, max(p.Unsettled, r.fault.Hide))
		}
	}
	if t.habits.lost[operation] < p.LostCreates {
		put(&t.habits.lost, operation, t.habits.lost[operation]+1)
		r.fault.Lose = true
	}
}

// earlier is the list of assignments before a request sets it.
func (s *Server) earlier(r *request) any {
	pattern := strings.TrimSuffix(strings.Replace(r.Pattern, http.MethodPost, http.MethodGet, 1), "/assign") + "/assignments"
	h := s.handlers[pattern]
	if h == nil {
		return nil
	}
	asked := *r
	asked.Request = r.Clone(r.Context())
	asked.Method, asked.URL.Path, asked.fault = http.MethodGet, strings.TrimSuffix(r.URL.Path, "/assign")+"/assignments", Fault{}
	rep, err := h(&asked)
	if err != nil {
		return nil
	}
	return rep.body
}

// refusedPart refuses some parts of batches.
func (t *tenant) refusedPart() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.s.o.Pitfalls.BatchParts
	t.habits.parts++
	if n <= 0 || t.habits.parts%n != 0 {
		return nil
	}
	switch t.habits.parts / n % 4 {
	case 1:
		f := fail(http.StatusTooManyRequests, "TooManyRequests", "Too many requests.")
		f.retryAfter = 7
		return f
	case 2:
		return fail(http.StatusServiceUnavailable, "ServiceUnavailable", "The service is busy.")
	case 3:
		return fail(http.StatusConflict, "Conflict", "A conflicting change is under way.")
	}
	return fail(http.StatusInternalServerError, "InternalServerError", "The part failed.")
}

// ended reports whether the upload address of a request has ended before its
// time: addresses are numbered, and those up to a number are no longer taken.
func (t *tenant) ended(r *request, f *file, operation string) bool {
	put(&t.habits.uses, f.ID, t.habits.uses[f.ID]+1)
	n := t.s.o.Pitfalls.SASBlocks
	if r.fault.Expire || n > 0 && t.habits.uses[f.ID] > n {
		put(&t.habits.ended, f.ID, f.Signed)
		put(&t.habits.uses, f.ID, 0)
	}
	number, err := strconv.Atoi(r.URL.Query().Get("si"))
	return err != nil || number <= t.habits.ended[f.ID]
}

// advance makes an answer that of a later service.
func (rep *reply) advance() {
	data := rep.raw
	if rep.body != nil {
		var err error
		if data, err = json.Marshal(rep.body); err != nil {
			panic("graph: an answer has no JSON form: " + err.Error())
		}
	}
	var v any
	if json.Unmarshal(data, &v) != nil {
		return // no answer in JSON
	}
	v = advanced(v)
	if rep.body != nil {
		rep.body = v
		return
	}
	if data, err := json.Marshal(v); err == nil {
		rep.raw = data
	}
}

// passing are states that an object has for a while only.
func passing(state string) bool {
	return strings.HasSuffix(state, "Pending") || state == "processing"
}

func advanced(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			v[name] = advanced(value)
		}
		if schema, ok := v["Schema"].([]any); ok {
			v["Schema"] = append([]any{map[string]any{"Column": "FutureColumn", "PropertyType": "String"}}, schema...)
			rows, _ := v["Values"].([]any)
			for i, row := range rows {
				if cells, ok := row.([]any); ok {
					rows[i] = append([]any{"future"}, cells...)
				}
			}
		}
		v["futureProperty"] = map[string]any{"futureSetting": "unknownFutureValue"}
	case []any:
		for i, item := range v {
			v[i] = advanced(item)
		}
	case string:
		if passing(v) {
			return "unknownFutureValue"
		}
	}
	return v
}
