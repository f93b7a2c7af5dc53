// Package rollout decides what happens to the fleet, and when: which device
// belongs to which wave (Assign), what opening a gate will do (Plan), how far
// every entry of every cycle has come (Derive), and what is due now (Step).
//
// All of it is pure. The same facts and the same instant give the same plan,
// phases and actions, byte for byte; nothing is stored but the facts. The
// factory executes actions, records what came of them, and asks again.
//
// A plan's rows have their times, and runners start when they start. TimingOf
// says what a row's time is as seen now: as planned, or moved behind a freeze or
// into the tenant's next window, or missed. Nothing changes late in silence.
package rollout
