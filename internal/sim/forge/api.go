package forge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/sim/event"
)

// A request is one call of the API by a user who signed in.
type request struct {
	*http.Request
	user User
	now  time.Time
	body []byte
	at   links
}

// A reply is what a handler decided: status and body, and for a change the
// events to tell once it is on disk. A handler that changed the state says so
// by events or by dirty.
type reply struct {
	status int
	body   any
	events []event.Event
	dirty  bool
	total  int // rows of a list before paging; see page
	paged  bool
}

// A handler answers one route. It runs under the server's lock.
type handler func(*request) reply

// An object is a JSON object in the making. GitHub's answers have far more
// fields than anybody reads, so they are built and not declared.
type object = map[string]any

func ok(body any) reply { return reply{status: http.StatusOK, body: body} }

// done is the reply to a change.
func done(code int, body any, name, detail string) reply {
	return reply{status: code, body: body, dirty: true, events: []event.Event{{Service: "forge", Name: name, Detail: detail}}}
}

const documentation = "https://docs.github.com/rest"

// failed is an error as GitHub words it.
func failed(code int, message string, errors ...any) reply {
	body := object{"message": message, "documentation_url": documentation, "status": strconv.Itoa(code)}
	if len(errors) > 0 {
		body["errors"] = errors
	}
	return reply{status: code, body: body}
}

func notFound() reply { return failed(http.StatusNotFound, "Not Found") }

func forbidden() reply {
	return failed(http.StatusForbidden, "Resource not accessible by personal access token")
}

// invalid is a validation error about a field.
func invalid(resource, field, code string) reply {
	return failed(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": resource, "field": field, "code": code})
}

// invalidBecause is a validation error in words.
func invalidBecause(resource, message string) reply {
	return failed(http.StatusUnprocessableEntity, "Validation Failed", object{"resource": resource, "code": "custom", "message": message})
}

// unprocessable is the simple form of a validation error.
func unprocessable(message string) reply {
	return failed(http.StatusUnprocessableEntity, "Unprocessable Entity", message)
}

// broken is an error of the simulator itself.
func broken(err error) reply {
	return failed(http.StatusInternalServerError, "forge simulator: "+err.Error())
}

// maxCall is the largest body of an API call that is taken, in bytes.
const maxCall = 1 << 20

// api wraps a handler: who asks, how often, under the lock, saved, told,
// answered; in that order.
func (s *Server) api(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxCall))
		if err != nil {
			s.send(w, r, failed(http.StatusRequestEntityTooLarge, "Payload too large"))
			return
		}
		u, ok := s.signedIn(r)
		if !ok {
			message := "Requires authentication"
			if r.Header.Get("Authorization") != "" {
				message = "Bad credentials"
			}
			s.send(w, r, failed(http.StatusUnauthorized, message))
			return
		}
		answer := s.locked(w.Header(), &request{Request: r, user: u, now: s.now(), body: body, at: linksOf(r)}, h)
		for _, e := range answer.events {
			s.o.Observer.Observe(e)
		}
		s.send(w, r, answer)
	}
}

// locked runs the handler under the lock and saves what it changed.
func (s *Server) locked(header http.Header, r *request, h handler) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if refused, yes := s.limit(header, r); yes {
		return refused
	}
	if owner := r.PathValue("owner"); owner != "" &&
		(!strings.EqualFold(owner, s.o.Owner) || !strings.EqualFold(r.PathValue("repo"), s.o.Name)) {
		return notFound()
	}
	if err := s.follow(r.Context()); err != nil {
		return broken(err)
	}
	answer := h(r)
	if answer.dirty {
		if err := s.save(); err != nil {
			return broken(err)
		}
	}
	return answer
}

// send writes the answer, with an entity tag that spares an unchanged one.
func (s *Server) send(w http.ResponseWriter, r *http.Request, answer reply) {
	h := w.Header()
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	h.Set("X-GitHub-Api-Version-Selected", "2022-11-28")
	if answer.paged {
		if link := pageLinks(linksOf(r).web, r.URL, answer.total); link != "" {
			h.Set("Link", link)
		}
	}
	if answer.body == nil {
		w.WriteHeader(answer.status)
		return
	}
	data, err := json.Marshal(answer.body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if r.Method == http.MethodGet && answer.status == http.StatusOK {
		sum := sha256.Sum256(data)
		tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
		h.Set("ETag", tag)
		h.Set("Cache-Control", "private, max-age=60, s-maxage=60")
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(answer.status)
	_, _ = w.Write(data) // the client may be gone
}

// decode reads the JSON body into v.
func (r *request) decode(v any) (reply, bool) {
	if err := json.Unmarshal(r.body, v); err != nil {
		if _, syntax := err.(*json.SyntaxError); syntax || len(r.body) == 0 {
			return failed(http.StatusBadRequest, "Problems parsing JSON"), false
		}
		return failed(http.StatusUnprocessableEntity, "Invalid request.\n\n"+err.Error()), false
	}
	return reply{}, true
}

// page cuts a list to the page that was asked for.
func page[T any](r *request, rows []T, render func(T) any) reply {
	n, size := paging(r.URL.Query())
	from := min((n-1)*size, len(rows))
	to := min(from+size, len(rows))
	out := make([]any, 0, to-from)
	for _, row := range rows[from:to] {
		out = append(out, render(row))
	}
	answer := ok(out)
	answer.total, answer.paged = len(rows), true
	return answer
}

// paging reads the page's number and size: 30 unless told, 100 at most.
func paging(q url.Values) (n, size int) {
	n, size = 1, 30
	if v, err := strconv.Atoi(q.Get("page")); err == nil && v > 0 && v < 1<<20 {
		n = v
	}
	if v, err := strconv.Atoi(q.Get("per_page")); err == nil && v > 0 {
		size = min(v, 100)
	}
	return n, size
}

// pageLinks is the Link header (RFC 8288) to the other pages.
func pageLinks(web string, u *url.URL, total int) string {
	q := u.Query()
	n, size := paging(q)
	last := max((total+size-1)/size, 1)
	var parts []string
	link := func(to int, rel string) {
		q.Set("page", strconv.Itoa(to))
		parts = append(parts, fmt.Sprintf(`<%s%s?%s>; rel="%s"`, web, u.EscapedPath(), q.Encode(), rel))
	}
	if n > 1 {
		link(min(n-1, last), "prev")
	}
	if n < last {
		link(n+1, "next")
		link(last, "last")
	}
	if n > 1 {
		link(1, "first")
	}
	return strings.Join(parts, ", ")
}

// trimBot takes the mark of an app off a login.
func trimBot(login string) string { return strings.TrimSuffix(login, "[bot]") }
