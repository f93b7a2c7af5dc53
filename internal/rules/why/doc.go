// Package why answers two questions about decisions that other rules make: why
// a tenant has, gets or does not get a package, and what a change of desired
// state would do to plans.
//
// It decides nothing: plans, phases and waits come from package rollout, and
// each answer names the file it rests on, so that whoever reads it can go there.
package why
