// Package gate judges a wave from what its devices reported.
//
// A gate has three answers. "Succeeded divided by reported is at least 98 %"
// has two, and is wrong at both ends: with 10 devices it passes a release that
// breaks 5 % of a fleet more often than not, and with 49 it refuses a good one
// for a single unlucky device. So a share is never compared with a threshold;
// its confidence bounds are. A wave passes when even the careful bound of its
// success rate reaches the threshold, fails when even the lenient bound of its
// failure rate is above the tolerance, and is inconclusive in between: too few
// devices have spoken.
//
// The bounds are exact (Clopper and Pearson, 1934), one-sided, at the gate's
// confidence, from the incomplete beta function (DLMF 8.17). They hold for one
// look; at every further one chance is given another try. So a wave passes at
// fixed looks alone, and a gate that wants to stop at any moment says so: it
// then stops by a sequential probability ratio test, which may be looked at
// after every report.
//
// Stopping may be quick, passing may not; and what stops a release are failures
// that devices told of, never their silence: a network that is down would halt
// a good release everywhere. So a device that is silent counts against a pass
// and never towards a fail; and whatever a gate cannot make sense of, a missing
// threshold or an impossible count, it does not pass.
//
// The devices of waves that have not opened are the control group: they live
// through the same days without the release. What hits both alike is not its
// doing.
package gate
