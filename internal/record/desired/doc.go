// Package desired reads and writes desired state: the CUE files of main.
//
// Load turns the tree of one commit into a fleet.Repository, or into a list of
// everything that is wrong with it. A tree may come from a stranger's pull
// request, so it goes through two lanes. Catalog files are literals only, small
// and shallow, and are evaluated in process. Schedules and tenants may use all
// of CUE, and are evaluated in a child process under limits of memory, time and
// output (see ChildEvaluator), from bytes that the parent read: the child opens
// no file. Directory inheritance is CUE's own: the files of parent folders
// unify with those below. What unification cannot guard is guarded in Go: which
// level a file may speak for, that nobody loosens a bound, that exceptions end,
// and that every name means something.
//
// The renderers (ReleaseFile, CycleFile, …) write the same files byte by byte
// the same on every machine.
package desired
