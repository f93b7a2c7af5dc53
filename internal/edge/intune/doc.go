// Package intune deploys apps to one tenant of Microsoft Intune through Microsoft
// Graph: Win32 apps, macOS packages and disk images, apps of the Microsoft Store. It is written by hand: the generated SDKs are some 300 MB of
// source for the two dozen calls made here.
//
// # What a tenant holds
//
// For every package two slots with app objects of stable ids, "stable" and
// "candidate" (fleet.Stable, fleet.Candidate): a release per object would run
// into the limit of ten nodes in a supersedence graph and would break every
// reference to the app. A slot is found by its Marker, one line in the app's
// notes, never by its name. For every wave one static device group, found by
// the same kind of line in the group's description.
//
// The type of an app object cannot change, and a package may be for Windows and
// macOS: a slot has one object for each kind its releases came as. The one whose
// release came last speaks for the slot; those that hold another release are
// assigned to nobody. Which kind an object is stands in the object, not in the
// marker.
//
// # Why a second run finishes the first
//
// Graph offers no transactions, and a publication takes a dozen calls. Every
// step therefore finds what an earlier run made before it makes anything, and
// the marker tells whose the unfinished parts are: before content is uploaded,
// its digest stands in Marker.Pending, and whatever lies in the newest
// uncommitted content version is that content and nothing else. Block names
// hold the digest of their bytes, so that an interrupted upload goes on with
// what is missing. The last PATCH makes content, rules and marker current
// together: devices never see new content with old detection rules.
//
// # Which version of Graph
//
// The version is a constant per operation, since v1.0 lacks displayVersion,
// run-time limits, in-use behaviour and assignment filters; what v1.0 has is
// called there.
package intune
