// Package graph is Microsoft Graph for tests, the demo and `packmill sim`: a
// real HTTP server with the state machines, paging, throttling and delays of
// the service, and tenants full of devices that install on a virtual clock. It
// is checked against Microsoft's description of the interface in both
// directions.
//
// # Time
//
// The server tells time only by Options.Now. What takes the service a while
// (an upload address, a commit, a publication, an object being everywhere) takes
// it a number of reads instead, so that a run is fast and the same every time.
//
// # Devices
//
// A device has no state that is stored. What it has installed, and what it
// reported, is computed from the history of assignments, contents and group
// members, the present instant and the seed whenever a report is read. So a
// withdrawn assignment is never installed by a device that had not checked in
// before it was withdrawn, as in the world.
//
// Content is decrypted and read when it is committed: a setup folder, or a macOS
// package with the applications it installs. A disk image is believed. A device
// fails to install what its command line, or packmill.json, does not find there,
// and what the wrapper script could not read. It does not keep to the windows on
// the command line: it installs at its check-ins, which come a few times a day,
// where a real agent wakes up at a deadline.
//
// # What goes wrong
//
// Options.Fault breaks single calls: refusals, connections that break before,
// while and after the work is done, upload addresses that end, contents that are
// rejected. Options.Throttle and Options.Limit refuse by number and by rate.
//
// Options.Pitfalls are the habits of the service that clients stumble over, each
// a switch: lists of 25 entries whatever was asked (ShortPages), 404, 409 and 423
// for what was just made (Unsettled), assignments told as they were before
// (StaleAssignments), 429 without Retry-After (MuteThrottle), parts of a batch that
// fail inside an answer of 200 (BatchParts), upload addresses that end early
// (SASBlocks), a token that ends between upload and commit (TokenEnds), content
// versions that do not begin at 1 (FirstContent), properties and states of a later
// service (Future), features that are not enabled (Lacks), objects whose maker is
// not told (LostCreates). Lag and ListLag are how long the service takes.
//
// # Windows Update
//
// What Options.Updates has is approved or deployed by what the tenant holds, and
// every change of that reaches devices hours later. A device installs at its
// first check-in afterwards and reports the build that it then has; some go back
// where the options say so, and a monitoring rule pauses a deployment for it.
//
// # Storage
//
// Every change is in the tenant's journal before the request is answered. A
// server that is opened again over the same folder goes on where the first one
// was.
package graph
