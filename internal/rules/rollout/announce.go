package rollout

import (
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// Announcement is the name of the template that tells partners of a cycle, and
// of the occasion: it is part of a notice's key.
const Announcement = "announcement"

// NoticeKey names one message to one audience: a second run finds what the
// first one sent.
func NoticeKey(id fleet.CycleID, partner, channel, template string) string {
	return fleet.DeriveID("notice/v1", string(id), partner, channel, template)
}

// Reached are the rows of a cycle's last wave, by partner, without what was
// halted or is held: nobody is told of an update that will not come.
func Reached(facts Facts, id fleet.CycleID, now time.Time) (map[string][]fleet.PlanRow, error) {
	cycle, ok := facts.Repo.Cycles[id]
	if !ok || len(cycle.Waves) == 0 {
		return nil, fleet.Errorf(fleet.Invalid, "rollout.announce", string(id), "there is no such cycle, or it has no wave")
	}
	states, err := Derive(facts, now)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(states, func(c CycleState) bool { return c.ID == id })
	last := cycle.Waves[len(cycle.Waves)-1]
	rows := facts.Plans[id][last].Rows
	if rows == nil {
		rows = facts.Record.PlanRows[facts.Repo.Plans[id][last].Digest]
	}
	out := map[string][]fleet.PlanRow{}
	for _, row := range rows {
		if e := states[i].Entry(row.Package); e != nil && !e.Stopped() {
			out[row.Tenant.Partner()] = append(out[row.Tenant.Partner()], row)
		}
	}
	return out, nil
}
