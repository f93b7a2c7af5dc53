package graph_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// made makes a group of the tenant's own, with members.
func (w *world) made(name string, members ...string) string {
	w.t.Helper()
	id := w.do(http.MethodPost, "/v1.0/groups", map[string]any{
		"displayName": name, "mailEnabled": false, "mailNickname": fmt.Sprintf("g%d", w.count("group")), "securityEnabled": true,
	})["id"].(string)
	for _, m := range members {
		w.do(http.MethodPost, "/v1.0/groups/"+id+"/members/$ref", map[string]any{"@odata.id": w.http.URL + "/v1.0/directoryObjects/" + m})
	}
	return id
}

func TestMembers(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	devices := ids(must[[]fleet.Device](t)(c.Inventory(t.Context())))
	slices.Sort(devices)
	inner := w.made("Inner", devices[2], devices[3])
	outer := w.made("Finance d'Or", devices[0], devices[2], inner)
	// A circle is no reason to stand still.
	w.do(http.MethodPost, "/v1.0/groups/"+inner+"/members/$ref", map[string]any{"@odata.id": w.http.URL + "/v1.0/directoryObjects/" + outer})
	w.made("Twice", devices[4])
	w.made("Twice", devices[5])
	w.made("Empty")

	got, err := c.Members(t.Context(), []string{"Finance d'Or", "Inner", "Empty", "Twice", "Nobody's"})
	if err != nil {
		t.Fatal(err)
	}
	for name := range got {
		slices.Sort(got[name])
	}
	all := []string{devices[0], devices[2], devices[3]}
	if want := map[string][]string{"Finance d'Or": all, "Inner": all, "Empty": {}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, name := range []string{"group=Twice", "group=Nobody's"} {
		if !strings.Contains(w.log.String(), name) {
			t.Errorf("the log does not tell that %s was not read:\n%s", name, w.log)
		}
	}
	many := make([]string, 101)
	if _, err := c.Members(t.Context(), many); fleet.KindOf(err) != fleet.Invalid {
		t.Errorf("101 groups: %v", err)
	}
}

// A group of more devices than a page holds is read to its end, and an app that
// is assigned to a group reaches devices of groups inside it.
func TestNestedGroups(t *testing.T) {
	w := newWorld(t, nil)
	c := w.client(nordic)
	devices := ids(must[[]fleet.Device](t)(c.Inventory(t.Context())))
	inner := w.made("Inner", devices...)
	outer := w.made("Outer", inner)
	page := w.get("/v1.0/groups/" + outer + "/transitiveMembers?$select=id&$top=4")
	if n := len(page["value"].([]any)); n != 4 || page["@odata.nextLink"] == nil {
		t.Errorf("a page of %d members, next %v", n, page["@odata.nextLink"])
	}
	publish(t, c, fleet.Stable, "24.08")
	assign(t, c, fleet.Stable, fleet.Target{Intent: "required", Group: outer})
	w.clock.Set(monday)
	if got := states(t, w.client(nordic), fleet.Stable)["installed 24.08"]; got != len(devices) {
		t.Errorf("%d of %d devices installed it", got, len(devices))
	}
}
