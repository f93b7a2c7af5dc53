package rehearsal

import (
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/gate"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// compared is the gate's verdict on one entry at one look, with the devices of
// waves that have not opened as its control group where that could make a
// difference: what factory.Judge gives on the same reports. The instant is for
// the caller to add.
func (e *Engine) compared(facts rollout.Facts, a rollout.Action, id fleet.PackageID, reports []fleet.Report) (fleet.Verdict, error) {
	in, err := rollout.GateInputs(facts, a, id, reports)
	if err != nil {
		return fleet.Verdict{}, err
	}
	return rollout.Compared(in, func(bool) (fleet.Control, error) { return e.control(facts, a, id), nil })
}

// Alone is the gate's verdict without a control group: what an Engine may be
// given in place of its own.
func Alone(facts rollout.Facts, a rollout.Action, id fleet.PackageID, reports []fleet.Report) (fleet.Verdict, error) {
	in, err := rollout.GateInputs(facts, a, id, reports)
	if err != nil {
		return fleet.Verdict{}, err
	}
	return gate.Decide(in), nil
}

// control counts the devices that live through the same days without a release:
// those that are off are silent, and nothing fails on a device that is given
// nothing. A tenant that cannot be reached proves nothing.
func (e *Engine) control(facts rollout.Facts, a rollout.Action, id fleet.PackageID) fleet.Control {
	taken, since := rollout.Taken(facts.Record, a.Cycle, a.Wave)
	inventory := rollout.LatestInventory(facts.Record, time.Time{})
	now := e.State.Now
	var c fleet.Control
	for _, t := range rollout.Waiting(facts, a.Cycle, id) {
		if e.Model.out(t, now) {
			continue
		}
		for i := range inventory[t] {
			row := &inventory[t][i]
			d := e.Model.Device(t, row.Device)
			switch {
			case taken[string(t)+"/"+row.Device] || !rollout.Serves(facts.Repo.Packages[id], row.Platform):
			case e.Model.reported(d, since, now):
				c.N++
			case e.Model.reported(d, since.Add(-rollout.InactiveFor), now):
				c.N++
				c.Silent++
			}
		}
	}
	return c
}
