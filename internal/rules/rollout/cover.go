package rollout

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// maxCover is the number of attributes a wave can cover: all that have one
// value a device.
const maxCover = 6

// A profile is what devices have alike in the attributes that are covered:
// values as numbers, 0 for an unknown one.
type profile [maxCover]int32

// A kind is the devices of one profile.
type kind struct {
	profile
	best   int // the device of it that comes first
	weight int // of its values that are not covered yet, as last looked at
}

// kinds are ordered as the greedy choice takes them: by weight, then by rank.
type kinds struct {
	list  []kind
	ranks *ranking
}

func (k kinds) Len() int { return len(k.list) }
func (k kinds) Less(i, j int) bool {
	a, b := &k.list[i], &k.list[j]
	return a.weight > b.weight || a.weight == b.weight && k.ranks.before(a.best, b.best) < 0
}
func (k kinds) Swap(i, j int) { k.list[i], k.list[j] = k.list[j], k.list[i] }
func (k *kinds) Push(x any)   { k.list = append(k.list, x.(kind)) }
func (k *kinds) Pop() any {
	last := len(k.list) - 1
	x := k.list[last]
	k.list = k.list[:last]
	return x
}

// covering is a wave of as many devices as members has, chosen so that it shows
// the attributes of the most devices: greedily, each time the device whose
// values, as far as none before it has them, are those of the most devices; of
// equal ones the first by rank. When nothing is left to show, rank fills the
// rest, so that a larger wave holds a smaller one.
//
// A device that takes part for its attributes changes places in the order with
// one that gives way. Later waves see the changed order, and stay as large as
// their percentage says.
func (a *assignment) covering(w fleet.Wave, ranks *ranking, members []int32, eligible func(i int) bool) []int32 {
	chosen := a.greedy(w.Select.Cover, ranks, len(members), eligible)
	in := make(map[int]bool, len(chosen))
	for _, i := range chosen {
		in[i] = true
	}
	ranked := slices.Clone(members)
	slices.SortFunc(ranked, func(x, y int32) int { return ranks.before(int(y), int(x)) }) // last first
	was := make(map[int]bool, len(members))
	for _, i := range members {
		was[int(i)] = true
	}
	leaving := slices.DeleteFunc(ranked, func(i int32) bool { return in[int(i)] })
	out := map[int32]bool{}
	for _, i := range chosen {
		if was[i] {
			continue
		}
		ranks.swap(i, int(leaving[0]))
		out[leaving[0]] = true
		leaving = leaving[1:]
		members = append(members, int32(i))
	}
	members = slices.DeleteFunc(members, func(i int32) bool { return out[i] })
	slices.SortFunc(members, func(x, y int32) int { return cmp.Compare(a.devices[x].Device, a.devices[y].Device) })
	return members
}

// greedy chooses up to n eligible devices. Weights only fall while it goes on,
// so a kind is looked at again only when it comes first with what it weighed
// before.
func (a *assignment) greedy(attributes []string, ranks *ranking, n int, eligible func(i int) bool) []int {
	k, weights := a.kinds(attributes, ranks, eligible)
	for i := range k.list {
		k.list[i].weight = weighing(k.list[i].profile, weights)
	}
	heap.Init(k)
	var out []int
	for len(out) < n && k.Len() > 0 {
		first := &k.list[0]
		if now := weighing(first.profile, weights); now < first.weight {
			first.weight = now
			heap.Fix(k, 0)
			continue
		}
		if first.weight == 0 {
			break
		}
		out = append(out, first.best)
		for c, value := range first.profile {
			if weights[c] != nil {
				weights[c][value] = 0
			}
		}
		heap.Pop(k)
	}
	return out
}

func weighing(p profile, weights [maxCover][]int) int {
	sum := 0
	for c, value := range p {
		if weights[c] != nil {
			sum += weights[c][value]
		}
	}
	return sum
}

// kinds are the eligible devices by profile, and how many of them have each
// value. An unknown value weighs nothing.
func (a *assignment) kinds(attributes []string, ranks *ranking, eligible func(i int) bool) (*kinds, [maxCover][]int) {
	attributes = attributes[:min(len(attributes), maxCover)]
	var weights [maxCover][]int
	numbers := make([]map[string]int32, len(attributes))
	for c := range attributes {
		numbers[c], weights[c] = map[string]int32{"": 0}, []int{0}
	}
	k := &kinds{ranks: ranks}
	known := map[profile]int{}
	for i := range a.devices {
		if !eligible(i) {
			continue
		}
		var p profile
		for c, name := range attributes {
			value := attribute(a.tenant, &a.devices[i], name)
			n, ok := numbers[c][value]
			if !ok {
				n = int32(len(weights[c]))
				numbers[c][value] = n
				weights[c] = append(weights[c], 0)
			}
			if p[c] = n; n > 0 {
				weights[c][n]++
			}
		}
		at, ok := known[p]
		switch {
		case !ok:
			known[p] = len(k.list)
			k.list = append(k.list, kind{profile: p, best: i})
		case ranks.before(i, k.list[at].best) < 0:
			k.list[at].best = i
		}
	}
	return k, weights
}

// coverage is, for each attribute that a wave is to show, how much of the fleet
// has a value that some device of the wave has: over all devices that were seen
// recently enough, whatever wave they are in. It is nil for a wave that does not
// ask for it.
func coverage(repo *fleet.Repository, rec *fleet.Record, cycle fleet.Cycle, w fleet.Wave, members map[fleet.TenantID]Members) []fleet.Coverage {
	if len(w.Select.Cover) == 0 {
		return nil
	}
	inventory := LatestInventory(rec, time.Time{})
	within := time.Duration(inactiveAfter(w)) * 24 * time.Hour
	out := make([]fleet.Coverage, 0, len(w.Select.Cover))
	for _, name := range w.Select.Cover {
		shown, count := map[string]bool{}, map[string]int{}
		c := fleet.Coverage{Attribute: name}
		for _, id := range repo.TenantIDs() {
			t, devices := repo.Tenants[id], inventory[id]
			for i, active := range activity(devices, cycle.CutOff, within) {
				if active {
					c.Devices++
					count[attribute(t, &devices[i], name)]++
				}
			}
			for i := range members[id].Devices {
				shown[attribute(t, &members[id].Devices[i], name)] = true
			}
		}
		for value, n := range count {
			if value == "" {
				continue // nothing stands for what nobody knows
			}
			c.Values++
			if shown[value] {
				c.ShownValues++
				c.ShownDevices += n
			}
		}
		out = append(out, c)
	}
	return out
}
