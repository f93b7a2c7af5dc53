// Package vendors is the simulated outside that publishes software: GitHub's
// releases, an npm registry, a Debian mirror, a Go module proxy, and the pages
// and downloads of any other host; and what is known of its vulnerabilities.
//
// It is one http.Handler with the paths of real servers:
//
//	/api.github.com/…                  REST API of GitHub (releases of a repository)
//	/github.com/…/releases/download/…  redirects to the asset host, as GitHub does
//	/npm/…                             npm registry
//	/debian/…                          Debian archive: Release, Packages, pool
//	/goproxy/…                         Go module proxy
//	/www.cisa.gov/…                    CISA's catalog of known exploited vulnerabilities
//	/api.first.org/data/v1/epss        scores of EPSS
//	/<host>/<path>                     what that host publishes
//
// so that upstream.Config{Mirror: base} reaches every host by its name. What is
// visible follows from the data and the clock alone: a publication appears at
// its time, may be withdrawn again, and a fault holds between two instants.
// Answers carry validators and honour conditional requests.
//
// Installers are synthetic: real files of their formats, small, made from their
// description so that equal descriptions give equal bytes, and marked as
// simulated in what they say of themselves.
package vendors
