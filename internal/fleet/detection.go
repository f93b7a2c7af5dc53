package fleet

// States of a package after a look at its upstream.
const (
	StateNone  = "none"  // it has no upstream: somebody hands versions in
	StateEqual = "equal" // the newest release is what the vendor has
	StateNew   = "new"   // the vendor has a newer version
	StateWatch = "watch" // found, but of a kind that is never released (Go modules)
	StateHeld  = "held"  // what was found must not become a pull request
)

// The holds: why what was found upstream, or what was downloaded, must not
// become a pull request. A hold is a finding for people, not an error.
const (
	HoldBackwards    = "backwards"        // older than the newest release: a recall, perhaps
	HoldUnparsable   = "unparsable"       // no version of the package's scheme
	HoldUnreachable  = "unreachable"      // no usable answer
	HoldRateLimited  = "rate-limited"     // the source refuses for now
	HoldChangedHash  = "changed-hash"     // other bytes under a version that was seen before
	HoldFlapping     = "flapping"         // an earlier version again, after another one: a recall, or mirrors that differ
	HoldSize         = "size"             // an installer many times larger or smaller than that of the release before
	HoldDisagree     = "disagree"         // too few sources name the version
	HoldTooYoung     = "too-young"        // not out for minimumReleaseAge yet
	HoldNotInstaller = "not-an-installer" // the bytes are of another format, HTML for example
	HoldTruncated    = "truncated"        // the download broke off
	HoldSigner       = "signer"           // unsigned or signed by somebody the publisher does not name
	HoldIgnored      = "ignored"          // a person said so of this version
	HoldNotAllowed   = "not-allowed"      // outside upstream.allowed or in upstream.ignore, a pre-release, or a host that is not the publisher's
)
