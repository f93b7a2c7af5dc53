// Package intune deploys Win32 apps to one tenant of Microsoft Intune through
// Microsoft Graph. It is written by hand: the generated SDKs are some 300 MB of
// source for the two dozen calls made here.
//
// # What a tenant holds
//
// For every package two win32LobApp objects with stable ids, the slots "stable"
// and "candidate" (fleet.Stable, fleet.Candidate): a release per object would
// run into the limit of ten nodes in a supersedence graph and would break every
// reference to the app. A slot is found by its Marker, one line in the app's
// notes, never by its name. For every wave one static device group, found by
// the same kind of line in the group's description.
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
