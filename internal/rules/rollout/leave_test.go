package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// without takes packages out of a tenant's file.
func without(t fleet.TenantID, ids ...fleet.PackageID) fact {
	return tenant(t, func(t *fleet.Tenant) {
		kept := map[fleet.PackageID][]fleet.Assignment{}
		for id, a := range t.Packages {
			if !slices.Contains(ids, id) {
				kept[id] = a
			}
		}
		t.Packages = kept
	})
}

func leaves(t fleet.TenantID, id fleet.PackageID, how string) fact {
	return tenant(t, func(t *fleet.Tenant) {
		said := map[fleet.PackageID]string{id: how}
		for other, how := range t.Leave {
			said[other] = how
		}
		t.Leave = said
	})
}

// many are packages that a tenant was given, m00 and so on.
func many(t fleet.TenantID, n int, at time.Time) fact {
	return func(w *world) {
		for i := range n {
			id := fleet.PackageID(fmt.Sprintf("acme/m%02d", i))
			w.repo.Packages[id] = fleet.Package{ID: id, Kind: "application", Rollback: "previous"}
			did("promote", "everyone", t, id, at)(w)
			tenant(t, func(t *fleet.Tenant) {
				packages := map[fleet.PackageID][]fleet.Assignment{id: {{Intent: "required", Group: "all devices"}}}
				for other, a := range t.Packages {
					packages[other] = a
				}
				t.Packages = packages
			})(w)
		}
	}
}

func numbered(n int) (ids []fleet.PackageID) {
	for i := range n {
		ids = append(ids, fleet.PackageID(fmt.Sprintf("acme/m%02d", i)))
	}
	return ids
}

// TestStepLeaves is when a package is taken out of a tenant, and when not: never
// by what is not known.
func TestStepLeaves(t *testing.T) {
	at := on(24, 8, 0)
	now := at.Add(rollout.Lease + time.Minute)
	has := all(did("promote", "everyone", aalt, tool, at), did("promote", "everyone", aalt, pad, at))
	gone := all(has, without(aalt, tool))
	remove, uninstall := []string{"remove everyone nordic/aalto tool 2.0"}, []string{"uninstall everyone nordic/aalto tool 2.0"}
	later := now.Add(time.Hour)
	tests := map[string]struct {
		facts fact
		now   time.Time
		want  []string
		waits string // of the first wait for it, "" for none
	}{
		"it stays":                           {has, now, nil, ""},
		"it is taken out":                    {gone, now, remove, ""},
		"an assignment nobody saw too":       {all(did("promote", "everyone", aalt, pad, at), intent("assign", "dogfood", aalt, tool, at), without(aalt, tool)), now, []string{"remove dogfood nordic/aalto tool 2.0"}, ""},
		"packmill never brought it":          {all(did("promote", "everyone", aalt, pad, at), without(aalt, tool)), now, nil, ""},
		"a call may be under way":            {gone, at.Add(time.Minute), nil, "a call may still be under way"},
		"it left":                            {all(gone, did("remove", "everyone", aalt, tool, now)), later, nil, ""},
		"it left while a call was under way": {all(gone, did("remove", "everyone", aalt, tool, at.Add(time.Minute))), now, remove, ""},
		"it left, came back and leaves": {all(gone, did("remove", "everyone", aalt, tool, now), did("assign", "dogfood", aalt, tool, later)), later.Add(time.Hour),
			[]string{"remove dogfood nordic/aalto tool 2.0"}, ""},
		"it is held":             {all(gone, hold("wait", "hold", tool)), now, nil, "the hold wait is in force"},
		"the hold is over":       {all(gone, hold("wait", "hold", tool, now)), now, remove, ""},
		"it is revoked":          {all(gone, revoke(tool)), now, remove, ""},
		"everything is frozen":   {all(gone, freeze("all", at, later)), now, nil, "the freeze winter is in force"},
		"fixes alone may go out": {all(gone, freeze("nonSecurity", at, later)), now, remove, ""},
		"removing failed":        {all(gone, intent("remove", "everyone", aalt, tool, now), receipt("failed", now)), later, remove, ""},
		"removing failed often": {all(gone, intent("remove", "everyone", aalt, tool, now), receipt("failed", now), intent("remove", "everyone", aalt, tool, now), receipt("failed", now),
			intent("remove", "everyone", aalt, tool, now), receipt("failed", now)), later, nil, "it failed 3 times within a day"},
		"the next day again": {all(gone, intent("remove", "everyone", aalt, tool, now), receipt("failed", now), intent("remove", "everyone", aalt, tool, now), receipt("failed", now),
			intent("remove", "everyone", aalt, tool, now), receipt("failed", now)), later.Add(24 * time.Hour), remove, ""},
		"the tenant is gone":                  {all(gone, func(w *world) { delete(w.repo.Tenants, aalt) }), now, nil, ""},
		"its connection is gone":              {all(gone, tenant(aalt, func(t *fleet.Tenant) { t.Intune = nil })), now, nil, ""},
		"the catalog lacks it":                {all(gone, func(w *world) { delete(w.repo.Packages, tool) }), now, nil, "main has no package of this id"},
		"the catalog is empty":                {all(gone, func(w *world) { w.repo.Packages = nil }), now, nil, "main has no package of this id"},
		"a merge is not recorded":             {all(gone, func(w *world) { w.unrecorded = []string{"c9"} }), now, nil, ""},
		"main is unreviewed":                  {all(gone, func(w *world) { w.rec.Merges = append(w.rec.Merges, fleet.Merge{Commit: "c9", Fault: "nobody saw"}) }), now, nil, ""},
		"uninstall is declared":               {all(has, leaves(aalt, tool, rollout.LeaveUninstall)), now, uninstall, ""},
		"it was uninstalled":                  {all(has, leaves(aalt, tool, rollout.LeaveUninstall), did("uninstall", "everyone", aalt, tool, now)), later, nil, ""},
		"it was uninstalled and is taken out": {all(gone, did("uninstall", "everyone", aalt, tool, now)), later, remove, ""},
		"no way back brings it back": {all(opened, start("dogfood", dogfoodAt), did("assign", "dogfood", own, tool, dogfoodAt), did("assign", "dogfood", own, pad, dogfoodAt), revoke(tool), without(own, tool)), now,
			[]string{"remove dogfood us/own tool 2.0"}, ""},
		"nor where it is uninstalled": {all(opened, start("dogfood", dogfoodAt), did("assign", "dogfood", own, tool, dogfoodAt), did("assign", "dogfood", own, pad, dogfoodAt), revoke(tool), leaves(own, tool, rollout.LeaveUninstall),
			did("uninstall", "dogfood", own, tool, now)), later, nil, ""},
		"a way back goes on while the uninstall waits": {all(opened, start("dogfood", dogfoodAt), did("assign", "dogfood", own, tool, dogfoodAt), did("assign", "dogfood", own, pad, dogfoodAt), revoke(tool), leaves(own, tool, rollout.LeaveUninstall),
			intent("uninstall", "dogfood", own, tool, now), receipt("failed", now), intent("uninstall", "dogfood", own, tool, now), receipt("failed", now),
			intent("uninstall", "dogfood", own, tool, now), receipt("failed", now)), later, []string{"roll-back us/own tool 2.0"}, "it failed 3 times within a day"},
	}
	for name, tt := range tests {
		got, waits := leavingOf(t, tt.facts, tt.now)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if (len(waits) > 0) != (tt.waits != "") || tt.waits != "" && !strings.Contains(waits[0], tt.waits) {
			t.Errorf("%s: waits for %q, want %q", name, waits, tt.waits)
		}
	}
}

// leavingOf are the actions of leaving, and ways back, and what leaving waits for.
func leavingOf(t *testing.T, facts fact, now time.Time) (actions, waits []string) {
	t.Helper()
	w := newWorld(facts)
	list, wait := w.step(t, now)
	for _, a := range list {
		if kind, _, _ := strings.Cut(a, " "); kind == rollout.Remove || kind == rollout.Uninstall || kind == rollout.RollBack {
			actions = append(actions, a)
		}
	}
	for _, x := range wait {
		if strings.Contains(x, " leaves ") {
			waits = append(waits, x)
		}
	}
	return actions, waits
}

// TestLeavingIsBounded: what reads like a mistake wants a word for each package.
func TestLeavingIsBounded(t *testing.T) {
	at := on(24, 8, 0)
	now := at.Add(time.Hour)
	word := func(t fleet.TenantID, n int) fact {
		return func(w *world) {
			for _, id := range numbered(n) {
				leaves(t, id, rollout.LeaveKeep)(w)
			}
		}
	}
	emptied := tenant(aalt, func(t *fleet.Tenant) { t.Packages = nil })
	for name, tt := range map[string]struct {
		facts fact
		want  int // removals
		waits int
	}{
		"three of ten":                    {all(many(aalt, 10, at), without(aalt, numbered(3)...)), 3, 0},
		"four of ten":                     {all(many(aalt, 10, at), without(aalt, numbered(4)...)), 0, 4},
		"four of twenty":                  {all(many(aalt, 20, at), without(aalt, numbered(4)...)), 4, 0},
		"four of ten, each with a word":   {all(many(aalt, 10, at), without(aalt, numbered(4)...), word(aalt, 4)), 4, 0},
		"four of ten, two with a word":    {all(many(aalt, 10, at), without(aalt, numbered(4)...), word(aalt, 2)), 4, 0},
		"six of ten, two with a word":     {all(many(aalt, 10, at), without(aalt, numbered(6)...), word(aalt, 2)), 2, 4},
		"the only one":                    {all(many(aalt, 1, at), emptied, many(berg, 9, at)), 1, 0},
		"all three of a tenant":           {all(many(aalt, 3, at), emptied, many(berg, 9, at)), 0, 3},
		"two of each of three tenants":    {all(many(aalt, 9, at), many(berg, 9, at), many(own, 9, at), without(aalt, numbered(2)...), without(berg, numbered(2)...), without(own, numbered(2)...)), 0, 6},
		"two of each of two, of a crowd":  {all(many(aalt, 9, at), many(berg, 9, at), many(own, 9, at), without(aalt, numbered(2)...), without(berg, numbered(2)...)), 4, 0},
		"an emptied file beside the word": {all(many(aalt, 5, at), emptied, word(aalt, 5), many(berg, 9, at)), 5, 0},
	} {
		got, waits := leavingOf(t, tt.facts, now)
		if len(got) != tt.want || len(waits) != tt.waits {
			t.Errorf("%s: %q, waits %q", name, got, waits)
		}
		for _, x := range waits {
			if !strings.Contains(x, `would go: if that is meant, say leave: "acme/m`) {
				t.Errorf("%s: %q", name, x)
			}
		}
	}
}

// hadBy is a package that many tenants have and are to lose, t000 and so on.
func hadBy(n int, at time.Time) fact {
	return func(w *world) {
		for i := range n {
			id := fleet.TenantID(fmt.Sprintf("nordic/t%03d", i))
			t := w.repo.Tenants[aalt]
			t.ID, t.Packages, t.Leave = id, map[fleet.PackageID][]fleet.Assignment{tool: {{Intent: "required", Group: "all devices"}}}, map[fleet.PackageID]string{tool: rollout.LeaveUninstall}
			w.repo.Tenants[id] = t
			did("promote", "everyone", id, tool, at)(w)
		}
	}
}

// TestUninstallsAreStaged: a word that was said for hundreds reaches no more in a
// day than had lost it before, and three at first.
func TestUninstallsAreStaged(t *testing.T) {
	at := on(24, 8, 0)
	now := at.Add(time.Hour)
	w := newWorld(hadBy(100, at))
	var days []int
	for day := 0; len(days) == 0 || days[len(days)-1] > 0; day++ {
		today := now.Add(time.Duration(day) * 24 * time.Hour)
		due := leavingNow(w, t, today)
		days = append(days, len(due))
		for i, l := range due {
			if i == 0 {
				intent("uninstall", "everyone", l.Tenant, tool, today)(w) // and the runner is killed
				continue
			}
			did("uninstall", "everyone", l.Tenant, tool, today)(w)
		}
		again := leavingNow(w, t, today.Add(rollout.Lease+time.Minute))
		if len(due) > 0 && (len(again) != 1 || again[0].Tenant != due[0].Tenant) {
			t.Fatalf("day %d: %d are due again, want the one that was not carried out", day, len(again))
		}
		if len(due) > 0 {
			did("uninstall", "everyone", due[0].Tenant, tool, today.Add(rollout.Lease+time.Minute))(w)
		}
		if more := leavingNow(w, t, today.Add(23*time.Hour)); len(more) > 0 {
			t.Fatalf("day %d: %d more are due on the same day", day, len(more))
		}
	}
	if want := []int{3, 3, 6, 12, 24, 48, 4, 0}; !slices.Equal(days, want) {
		t.Errorf("%v were due day by day, want %v", days, want)
	}
}

func leavingNow(w *world, t *testing.T, now time.Time) []rollout.Leaving {
	return slices.DeleteFunc(rollout.Leavings(w.facts(t), now), func(l rollout.Leaving) bool { return l.Waits != "" })
}

// TestStagesOfUninstalls is what counts, for a package and for a tenant.
func TestStagesOfUninstalls(t *testing.T) {
	at := on(24, 8, 0)
	now := at.Add(48 * time.Hour)
	said := func(id fleet.TenantID, n int) fact {
		return func(w *world) {
			for _, p := range numbered(n) {
				leaves(id, p, rollout.LeaveUninstall)(w)
			}
		}
	}
	lost := func(first, n int, when time.Time) fact {
		return func(w *world) {
			for i := range n {
				did("uninstall", "everyone", fleet.TenantID(fmt.Sprintf("nordic/t%03d", first+i)), tool, when)(w)
			}
		}
	}
	none := func(first, n int) fact {
		return func(w *world) {
			for i := range n {
				tenant(fleet.TenantID(fmt.Sprintf("nordic/t%03d", first+i)), func(t *fleet.Tenant) { t.Leave = nil })(w)
			}
		}
	}
	yesterday, lately := now.Add(-25*time.Hour), now.Add(-time.Hour)
	for name, tt := range map[string]struct {
		facts fact
		want  int
		waits string
	}{
		"one tenant":                  {hadBy(1, at), 1, ""},
		"three":                       {hadBy(3, at), 3, ""},
		"four":                        {hadBy(4, at), 3, "3 other tenants lose it within a day"},
		"two have begun today":        {all(hadBy(10, at), lost(0, 2, lately)), 1, "3 other tenants"},
		"three have begun today":      {all(hadBy(10, at), lost(0, 3, lately)), 0, "3 other tenants"},
		"five had it taken before":    {all(hadBy(20, at), lost(0, 5, yesterday)), 5, "5 other tenants"},
		"of whom three have it again": {all(hadBy(20, at), lost(0, 5, yesterday), none(0, 3)), 3, "3 other tenants"},
		"given back today":            {all(hadBy(10, at), lost(0, 3, lately.Add(-time.Hour)), reinstated(0, 3, lately), none(0, 3)), 3, "3 other tenants"},
		"one without a connection takes nobody's turn": {all(hadBy(4, at), tenant("nordic/t000", func(t *fleet.Tenant) { t.Intune = nil })), 3, ""},
		"five packages of a tenant":                    {all(many(aalt, 5, at), said(aalt, 5)), 3, "the tenant loses 3 other packages within a day"},
		"packages of several tenants":                  {all(many(aalt, 3, at), many(berg, 3, at), said(aalt, 3), said(berg, 3)), 6, ""},
	} {
		w := newWorld(tt.facts)
		list := rollout.Leavings(w.facts(t), now)
		due, why := 0, ""
		for _, l := range list {
			if l.Waits == "" {
				due++
			} else if why == "" {
				why = l.Waits
			}
			if l.Waits != "" && (l.Until.Before(now) || l.Until.After(now.Add(24*time.Hour))) {
				t.Errorf("%s: waits until %s", name, l.Until)
			}
		}
		if due != tt.want || !strings.HasPrefix(why, tt.waits) || (why == "") != (tt.waits == "") {
			t.Errorf("%s: %d are due, want %d; waits for %q", name, due, tt.want, why)
		}
	}
}

func reinstated(first, n int, when time.Time) fact {
	return func(w *world) {
		for i := range n {
			did("reinstate", "everyone", fleet.TenantID(fmt.Sprintf("nordic/t%03d", first+i)), tool, when)(w)
		}
	}
}

// TestComesBack: a package that left and is named again begins anew, as if the
// tenant never had it.
func TestComesBack(t *testing.T) {
	at := on(24, 8, 0)
	facts := all(did("promote", "everyone", aalt, tool, at), func(w *world) { w.rec.Receipts[0].Adopted = "app" }, did("remove", "everyone", aalt, tool, at.Add(time.Hour)))
	w := newWorld(facts)
	if got := rollout.Unadopted(w.rec, aalt, tool, "app"); got != "app" {
		t.Errorf("the app that was given back is adopted again: %q", got)
	}
	if got := rollout.Leavings(w.facts(t), at.Add(2*time.Hour)); len(got) != 0 {
		t.Errorf("leaves %+v", got)
	}
	if got := rollout.Unadopted(newWorld(all(did("promote", "everyone", aalt, tool, at), func(w *world) { w.rec.Receipts[0].Adopted = "app" })).rec, aalt, tool, "app"); got != "" {
		t.Errorf("adopted: %q", got)
	}
}
