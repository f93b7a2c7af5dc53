// Package rehearsal runs the production reconciler on a virtual clock, in
// memory, against a model of what goes wrong.
//
// What decides is rollout.Step, the same function that run and apply ask; what
// it rests on (intents, membership, chunks of tenants, proposals, gates) are the
// same pure functions that factory calls. Only the edges are others: facts are
// changed in place of pushing to git, devices answer by a Model in place of a
// console, and people merge after a delay.
//
// A Model is one guess of how devices, people and machines behave. Every
// outcome is a pure function of its seed and of what the outcome is about, so a
// rehearsal gives the same story each time; and a simulated service that asks
// the same Model gives the same counts, which is what makes `demo` and
// `simulate` comparable line by line.
//
// An Engine runs as a sequence of changes, and whoever ranges over it may stop
// after any of them: that is a runner that is killed there. Two engines over
// one State, pulled in turn, are two runners that race.
package rehearsal
