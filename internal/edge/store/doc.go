// Package store keeps artifacts: the files built from one release, held by an
// OCI image manifest whose digest names them all, and what is said about them
// (provenance, test results) as OCI referrers of that manifest.
//
// Manifests hold no times and are written in one order, so that the same files
// give the same digest. An artifact lives in an OCI layout on disk or in an OCI
// registry; both are one Store. Every byte is compared with its digest when it
// is read, wherever it came from.
//
// Formats: OCI Image Manifest, Image Layout and Distribution specifications,
// version 1.1.
package store
