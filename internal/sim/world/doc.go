// Package world is the embedded world that `packmill demo` and the crash tests
// run in: an operator with twelve tenants and 600 devices, vendors that
// publish, a forge, Microsoft Graph, and a mailbox. All of it is simulated by
// real HTTP servers over one folder on disk; a virtual clock moves it; killing
// any process loses nothing that was answered.
//
// Everybody in it is invented. What happens in it follows from the seed alone:
// equal seeds give equal commits, plans, artifacts and pages.
package world
