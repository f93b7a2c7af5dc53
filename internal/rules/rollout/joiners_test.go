package rollout_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// recounted is the inventory that is taken before the last wave starts.
func recounted(w *world) { inventory(announceAt.Add(-time.Hour), aalt, berg)(w) }

// seen adds devices to the inventory of an instant.
func seen(at time.Time, t fleet.TenantID, lastSeen string, names ...string) fact {
	return func(w *world) {
		for _, name := range names {
			w.rec.Inventory = append(w.rec.Inventory, fleet.InventoryRow{Tenant: t, Device: name, Platform: "windows", LastSeen: lastSeen, At: at})
		}
	}
}

func TestStepCountsAgainBeforeTheLastWave(t *testing.T) {
	ready := all(dogfooded, approve("everyone", on(20, 12, 0)), beat("announce 2026-W47", announceAt))
	asks := []string{"inventory nordic/aalto", "inventory nordic/berg"}
	waits := []string{"everyone the devices of 2 tenants are not read again yet"}
	try(t, []situation{
		{"not before it may arm", ready, announceAt.Add(-time.Second), nil, []string{"everyone approved"}},
		{"the plan's tenants, and waits for them", ready, announceAt, asks, waits},
		{"for two hours", ready, announceAt.Add(2*time.Hour - time.Second), asks, waits},
		{"and then goes by what is known", ready, announceAt.Add(2 * time.Hour), append(slices.Clone(asks), "start everyone"), nil},
		{"and not past the opening", all(ready, func(w *world) { w.repo.Waves[1].Arm = fleet.Duration(time.Hour) }), deployAt, append(slices.Clone(asks), "start everyone"), nil},
		{"one tenant that is not read", all(ready, inventory(announceAt, aalt)), announceAt, asks[1:], []string{"everyone the devices of 1 tenants are not read again yet"}},
		{"once they are read", all(ready, recounted), announceAt, []string{"start everyone"}, nil},
		{"not again what was read within a day", all(ready, inventory(announceAt.Add(-24*time.Hour), aalt, berg)), announceAt, []string{"start everyone"}, nil},
		{"not for the first wave", opened, dogfoodAt, []string{"start dogfood"}, nil},
	})
}

// joined starts the last wave of a world as the plan has it, and lets devices
// join.
func joined(t *testing.T, w *world, at time.Time) ([]fleet.Membership, fleet.WaveStart) {
	t.Helper()
	members, start := planned(t, w, "everyone", at)
	got, after, err := rollout.Join(rollout.Facts{Repo: w.repo, Record: w.rec}, members, start)
	if err != nil {
		t.Fatal(err)
	}
	return got, after
}

// planned are a wave's memberships from its plan's inventory, and its start.
func planned(t *testing.T, w *world, gate string, at time.Time) ([]fleet.Membership, fleet.WaveStart) {
	t.Helper()
	devices, err := rollout.MembersOf(w.repo, w.then, w47, w.repo.Cycles[w47], gate)
	if err != nil {
		t.Fatal(err)
	}
	var members []fleet.Membership
	var everyone []string
	for _, id := range w.repo.TenantIDs() {
		m := fleet.Membership{Cycle: w47, Wave: gate, Tenant: id, Inactive: devices[id].Inactive}
		if len(devices[id].Devices) == 0 {
			continue
		}
		for _, d := range devices[id].Devices {
			m.Devices = append(m.Devices, d.Device)
		}
		m.Root = rollout.Root(m.Devices)
		everyone = append(everyone, m.Devices...)
		members = append(members, m)
	}
	slices.Sort(everyone)
	opens := map[string]time.Time{"dogfood": dogfoodAt, "everyone": deployAt}[gate]
	return members, fleet.WaveStart{Cycle: w47, Wave: gate, Opens: opens, Devices: len(everyone), Root: rollout.Root(everyone), Plan: w.repo.Plans[w47][gate].Digest, At: at}
}

func TestJoin(t *testing.T) {
	at := announceAt
	fresh := at.Add(-time.Hour)
	day := at.Format(time.DateOnly)
	dogfoods := func(w *world) { // the first wave, as it was frozen
		members, start := planned(t, w, "dogfood", dogfoodAt)
		w.rec.Members, w.rec.Starts = append(w.rec.Members, members...), append(w.rec.Starts, start)
	}
	six := []string{"new-1", "new-2", "new-3", "new-4", "new-5", "new-6"}
	for _, c := range []struct {
		name    string
		facts   fact
		joined  map[fleet.TenantID]int
		outside int
	}{
		{"nobody, of an inventory that is the plan's", all(), nil, 0},
		{"nobody new", recounted, nil, 0},
		{"who is new", all(recounted, seen(fresh, aalt, day, "new-1", "new-2"), seen(fresh, berg, day, "new-1")), map[fleet.TenantID]int{aalt: 2, berg: 1}, 0},
		{"who came back", all(recounted, seen(fresh, berg, "2026-11-20", "back")), map[fleet.TenantID]int{berg: 1}, 0},
		{"nobody who is away", all(recounted, seen(fresh, berg, "2026-11-01", "away"), seen(fresh, berg, "", "unseen")), nil, 0},
		{"nobody on a tenant that the plan does not have", seen(fresh, own, day, "new-1"), nil, 0},
		{"nobody who has moved into a wave before", all(func(w *world) {
			w.repo.Waves[0].Select = fleet.Select{Attributes: map[string]fleet.Values{"model": {"a"}}}
		}, func(w *world) {
			w.rec.Members = append(w.rec.Members, fleet.Membership{Cycle: w47, Wave: "dogfood", Tenant: aalt, Devices: []string{"early"}, Root: rollout.Root([]string{"early"})})
			w.rec.PlanRows["sha256:d"] = []fleet.PlanRow{{Tenant: aalt, Package: tool, Wave: "dogfood"}}
			w.rec.Starts = []fleet.WaveStart{{Cycle: w47, Wave: "dogfood", Plan: "sha256:d"}}
		}, recounted, seen(fresh, aalt, day, "early")), nil, 0},
		{"five, in a small fleet", all(recounted, seen(fresh, aalt, day, six[:5]...)), map[fleet.TenantID]int{aalt: 5}, 0},
		{"nobody, when they are too many", all(recounted, seen(fresh, aalt, day, six...)), nil, 6},
		{"nobody on any tenant, when they are too many together", all(recounted, seen(fresh, aalt, day, six[:3]...), seen(fresh, berg, day, six[:3]...)), nil, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(all(opened, dogfoods, c.facts))
			before, start := planned(t, w, "everyone", at)
			got, after := joined(t, w, at)
			n, all := 0, []string{}
			for i, m := range got {
				n += m.Joined
				if m.Joined != c.joined[m.Tenant] || len(m.Devices) != len(before[i].Devices)+m.Joined || m.Root != rollout.Root(m.Devices) || !slices.IsSorted(m.Devices) {
					t.Errorf("%s: %d joined of %d devices, want %d of %d", m.Tenant, m.Joined, len(m.Devices), c.joined[m.Tenant], len(before[i].Devices)+c.joined[m.Tenant])
				}
				if root, ok := after.Joined[m.Tenant]; ok != (m.Joined > 0) || ok && root != m.Root {
					t.Errorf("%s: the start names root %q of %d that joined", m.Tenant, root, m.Joined)
				}
				all = append(all, m.Devices...)
			}
			slices.Sort(all)
			if after.Devices != start.Devices+n || after.Root != rollout.Root(all) || after.Outside != c.outside {
				t.Errorf("start: %+v", after)
			}
		})
	}
	w := newWorld(all(opened, recounted, seen(fresh, own, day, "new")))
	members, first := planned(t, w, "dogfood", dogfoodAt)
	if got, after, err := rollout.Join(rollout.Facts{Repo: w.repo, Record: w.rec}, members, first); err != nil || !reflect.DeepEqual(got, members) || !reflect.DeepEqual(after, first) {
		t.Errorf("a device joins a wave that is not the last: %+v %+v %v", got, after, err)
	}
}

func TestJoinLimit(t *testing.T) {
	for planned, want := range map[int]int{0: 5, 20: 5, 100: 5, 119: 5, 120: 6, 50_000: 2_500} {
		if got := rollout.JoinLimit(planned); got != want {
			t.Errorf("%d devices: %d may join, want %d", planned, got, want)
		}
	}
}

// Who belongs to a wave that has started does not change: not by what other
// inventories tell, nor by a run that starts it again knowing other devices.
// Waves of a cycle have no device in common.
func TestMembershipOfAStartedWaveStays(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	day := announceAt.Format(time.DateOnly)
	late := 0
	for round := range 100 {
		w := newWorld(opened)
		freeze := func(gate string, at time.Time) {
			members, start := planned(t, w, gate, at)
			members, start, err := rollout.Join(rollout.Facts{Repo: w.repo, Record: w.rec}, members, start)
			if err != nil {
				t.Fatal(err)
			}
			w.rec.Members, w.rec.Starts = append(w.rec.Members, members...), append(w.rec.Starts, start)
		}
		enrol := func(at time.Time) {
			inventory(at, aalt, berg)(w)
			for i := range r.IntN(4) {
				seen(at, []fleet.TenantID{aalt, berg}[r.IntN(2)], day, fmt.Sprint("new-", round, i, at.Unix()))(w)
			}
		}
		freeze("dogfood", dogfoodAt)
		enrol(announceAt.Add(-time.Hour))
		freeze("everyone", announceAt)
		members := func() (out [][]fleet.Membership) {
			for _, gate := range []string{"dogfood", "everyone"} {
				i := slices.IndexFunc(w.rec.Starts, func(s fleet.WaveStart) bool { return s.Wave == gate })
				list := rollout.Frozen(w.rec, w.rec.Starts[i])
				for _, m := range list {
					if one := rollout.MembershipOf(w.rec, w47, gate, m.Tenant); one == nil || !reflect.DeepEqual(*one, m) {
						t.Fatalf("round %d: %s of %s is %+v and %+v", round, gate, m.Tenant, m, one)
					}
				}
				out = append(out, list)
			}
			return out
		}
		want := members()
		enrol(announceAt.Add(time.Minute))
		freeze("everyone", announceAt.Add(time.Minute)) // another run, which saw more
		if got := members(); !reflect.DeepEqual(got, want) {
			t.Fatalf("round %d: membership was\n%+v\nand is\n%+v", round, want, got)
		}
		had := map[string]string{}
		for _, list := range want {
			var all []string
			for _, m := range list {
				late += m.Joined
				all = append(all, m.Devices...)
				for _, d := range m.Devices {
					if other := had[string(m.Tenant)+d]; other != "" {
						t.Fatalf("round %d: %s is in %s and %s", round, d, other, m.Wave)
					}
					had[string(m.Tenant)+d] = m.Wave
				}
			}
			slices.Sort(all)
			i := slices.IndexFunc(w.rec.Starts, func(s fleet.WaveStart) bool { return s.Wave == list[0].Wave })
			if w.rec.Starts[i].Root != rollout.Root(all) {
				t.Fatalf("round %d: the start of %s has another root than its memberships", round, list[0].Wave)
			}
		}
	}
	if late < 100 {
		t.Errorf("only %d devices came late: the rounds try nothing", late)
	}
}
