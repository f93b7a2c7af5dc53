// Package testbed runs matrix cells on this machine: real installs, upgrades
// and removals, in places made for one run and thrown away after it.
//
// A Linux cell is a Debian system in a folder (debootstrap), a Windows cell is a
// Wine prefix. Both are prepared once, as a base that is never written again;
// each run works on a layer of its own above it. What a package brings (its
// maintainer scripts, its installer, the program itself) runs in a bubblewrap
// sandbox and nowhere else: a file system that holds the cell alone, no network,
// no other processes, an empty environment, a time limit, capped output.
//
// A step counts by its effect: after an install the detection rule must hold,
// before it and after the removal it must not. A cell says passed or failed
// about the package; what went wrong with the cell itself is an error, of kind
// Waiting where a program of this machine is missing.
package testbed
