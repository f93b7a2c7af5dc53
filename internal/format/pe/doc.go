// Package pe reads what a Windows program says of itself: machine, sections,
// version resource, manifest, what made it where it is an installer, and the
// code signature that is appended to it; and writes a program again with a
// signature.
//
// The layout is that of Microsoft's "PE Format" page; the version resource is
// VS_VERSIONINFO of the Win32 documentation, the manifest that of "Application
// manifests" there. A file is hostile: every offset is checked, every count
// capped, and only headers, the resources that are named here and the marks of
// installers are read, whatever the file's size.
package pe
