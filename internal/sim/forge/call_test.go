package forge

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// An answer is what one call gave.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any // nil unless the body is an object
	list   []any          // nil unless it is a list
}

const repoPath = "/repos/operator/fleet"

// call sends one request to the API, held against GitHub's description.
func (w *world) call(token, method, path, body string, headers ...string) answer {
	w.Helper()
	return w.callOn(newContract(w, w.server), token, method, path, body, headers...)
}

// callRaw is call without the description, for requests it forbids.
func (w *world) callRaw(token, method, path, body string) answer {
	w.Helper()
	return w.callOn(w.server, token, method, path, body)
}

func (w *world) callOn(h http.Handler, token, method, path, body string, headers ...string) answer {
	w.Helper()
	req := httptest.NewRequest(method, "http://forge.example"+apiRoot+path, strings.NewReader(body))
	if body == "" {
		req.Body = http.NoBody
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "token "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	a := answer{status: rec.Code, header: rec.Header(), body: rec.Body.String()}
	if strings.HasPrefix(a.body, "{") {
		if err := json.Unmarshal(rec.Body.Bytes(), &a.json); err != nil {
			w.Fatal(err)
		}
	}
	if strings.HasPrefix(a.body, "[") {
		if err := json.Unmarshal(rec.Body.Bytes(), &a.list); err != nil {
			w.Fatal(err)
		}
	}
	return a
}

// want demands a status and words in the body.
func (a answer) want(t testing.TB, status int, words ...string) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d: %s", a.status, status, a.body)
	}
	for _, word := range words {
		if !strings.Contains(a.body, word) {
			t.Errorf("the answer does not say %q: %s", word, a.body)
		}
	}
	return a
}

const (
	botToken    = "token-of-bot"
	writerToken = "token-of-aino"
	adminToken  = "token-of-bert"
	readerToken = "token-of-carla"
)

// branch makes a branch with one commit that changes files, without the
// network. parent is a revision.
func (w *world) branch(name, parent string, files map[string]string) string {
	w.Helper()
	repo, err := gitrepo.Open(w.server.GitDir())
	if err != nil {
		w.Fatal(err)
	}
	from, err := repo.Resolve(parent)
	if err != nil {
		w.Fatal(err)
	}
	spec := gitrepo.CommitSpec{
		Parents: []string{from}, Message: "Change " + name, Author: fleet.Identity{Name: "Mill", Email: "mill@example.com"}, When: start,
		Files: map[string][]byte{},
	}
	for path, text := range files {
		spec.Files[path] = []byte(text)
	}
	id, err := repo.Commit(w.Context(), spec)
	if err != nil {
		w.Fatal(err)
	}
	old, err := repo.Ref("refs/heads/" + name)
	if err == nil {
		err = repo.SetBranch(name, old, id)
	}
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// pull opens the pull request of a new branch, as the bot.
func (w *world) pull(name string) (head string) {
	w.Helper()
	head = w.branch(name, "main", map[string]string{"files/" + name: name + "\nand more\n"})
	w.call(botToken, "POST", repoPath+"/pulls", `{"title":"Change `+name+`","head":"`+name+`","base":"main","body":"Text.\n\nRisk: low"}`).want(w, 201)
	return head
}

// main is where the main branch stands.
func (w *world) main() string {
	w.Helper()
	repo, err := gitrepo.Open(w.server.GitDir())
	if err != nil {
		w.Fatal(err)
	}
	id, err := repo.Main()
	if err != nil {
		w.Fatal(err)
	}
	return id
}
