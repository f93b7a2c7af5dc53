package rollout

import "time"

// The decisions below are what a proof asks about states that were made up
// rather than derived: the same code that decides about real ones answers.

// PhaseAt is the phase of a wave of the cycle, by what is set of its state.
func (c *CycleState) PhaseAt(i int, now time.Time) string { return phaseOf(c, &c.Waves[i], now) }

// Bars says what keeps an entry from being assigned in a wave that has
// started, "" when nothing does.
func (c *CycleState) Bars(i int, e *EntryState) string {
	if e.Stopped() {
		return "it is stopped"
	}
	return c.undecided(i, e)
}
