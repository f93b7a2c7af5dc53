// Package transport is HTTP for every edge: one client that repeats what may be
// repeated, waits as servers ask, refuses addresses that data must not reach,
// caps what it reads and never lets a secret into an error.
//
// Waiting goes through a fleet.Clock and its steps carry no jitter, so that a
// simulated week takes no time and two runs of it are the same. A library that
// wants an *http.Client of its own (go-github, oras-go) takes Client.HTTP.
//
// The address guard looks at addresses after name resolution, at every dial and
// so at every hop of a redirect: a name that resolves to a private address is
// refused however public it looks. When the environment names a proxy it is the
// proxy that resolves names; only addresses written as numbers can be judged
// then.
package transport
