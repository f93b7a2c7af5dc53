// Package pe reads what a Windows program says of itself: machine, version
// resource, and the code signature that is appended to it; and writes a program again with a signature.
//
// The layout is that of Microsoft's "PE Format" page; the version resource is
// VS_VERSIONINFO of the Win32 documentation. A file is hostile: every offset is
// checked, every count capped, and only headers and the resource are read.
package pe
