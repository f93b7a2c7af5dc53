// Package upstream asks vendors: which version is newest, and for the bytes of
// one.
//
// Datasources are the feeds of fleet.Feed. Some are documents of any form that
// the package gives an expression for; some are what vendors publish for updaters
// and readers: news feeds, appcasts, updaters' manifests, update servers, headers,
// installers themselves; some are forges and package managers: GitHub, GitLab,
// Gitea, winget, NuGet, npm, PyPI, apt, RPM and the Go module proxy. What a
// document says is read by format/releases; here it is asked for, and the newest
// version that a package may have is chosen of what it lists. Where npm, apt, Go
// and Python packages come from is not in any file of a repository: it is the
// machine's own client configuration (Machine reads it), so that a company's
// mirror is used wherever packmill runs, and a simulated vendor in tests.
//
// A Client is for one run. It asks each question once, however many packages
// need the answer, and with the validators of an earlier run when a cache folder is
// given. What it learned reaches the disk only when Keep is called, after the
// whole step succeeded: a validator that is kept for an answer nobody processed
// would hide a version for ever. Servers that send no validators are asked in
// full each time. Of an installer that is downloaded to read its version, the
// version alone is kept.
//
// A host is asked a bounded number of questions at once, and who waits for one
// host takes no place from those who ask others. GitHub's tags are asked for as
// git does, its releases with validators: what did not change costs nothing of
// the API's quota. Summary tells what a run asked for.
//
// # What is trusted
//
// Addresses from package files and redirects lead to hosts of the publisher's
// list only, over https, to public addresses only. GitHub is the one exception:
// a download that starts at github.com may be redirected to GitHub's own asset
// hosts (see AssetHosts). npm tarballs come from the configured registry and
// must match the integrity that its metadata states; they may be redirected to
// any https host, since the bytes are checked.
//
// The address of a feed is asked behind the same guard, and its redirects stay on
// its own host, whose word is all there is to a version. Digests that a feed states
// of a file, SHA-256 or SHA-512, are checked when it is downloaded, and so are those
// of a file of checksums that the package names, on the publisher's hosts only; MD5
// and SHA-1 are not used, and neither are the signatures of appcasts and checksums.
//
// A Debian package must match the SHA-256 of the Packages index, that of the
// Release file, and that must be signed by a key that this machine's apt has for
// the source. A source without keys is believed over https only. RPM repositories
// are asked over https; their list of packages must match repomd.xml, whose
// signature is not checked. Addresses that a document tells (a NuGet service
// index, a next page) must be https and, behind the guard, public.
package upstream
