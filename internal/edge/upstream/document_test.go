package upstream

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// TestGitHubContents asks for a folder and a file as GitHub's contents API
// answers: a list, and raw bytes only to who asks for them.
func TestGitHubContents(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() + " " + r.Header.Get("Accept") {
		case "/api.github.com/repos/acme/pkgs/contents/a%20b application/vnd.github+json":
			fmt.Fprint(w, `[{"name": "1.2", "type": "dir"}, {"name": "x.yaml", "type": "file"}]`)
		case "/api.github.com/repos/acme/pkgs/contents/a%20b/x.yaml application/vnd.github.raw+json":
			fmt.Fprint(w, "raw")
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	c := New(Config{Mirror: srv.URL})
	if names, err := c.GitHubFolder(t.Context(), "acme/pkgs", "a b"); err != nil || !slices.Equal(names, []string{"1.2/", "x.yaml"}) {
		t.Errorf("%q, %v", names, err)
	}
	if data, err := c.GitHubFile(t.Context(), "acme/pkgs", "a b/x.yaml"); err != nil || string(data) != "raw" {
		t.Errorf("%q, %v", data, err)
	}
	_, err := c.GitHubFile(t.Context(), "acme/pkgs", "nothing")
	if h, ok := HoldOf(err); !ok || h.Name != fleet.HoldUnreachable {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestDocumentAddress(t *testing.T) {
	c := New(Config{})
	for _, address := range []string{"http://vendor.example/x", "https://a:b@vendor.example/x", "file:///etc/passwd", ":"} {
		_, err := c.Document(t.Context(), address)
		if h, ok := HoldOf(err); !ok || h.Name != fleet.HoldNotAllowed {
			t.Errorf("%s: %v", address, err)
		}
	}
}
