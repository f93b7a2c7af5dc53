// Package xar reads macOS installer packages ("flat packages"): a xar archive
// with the XML files that say what is installed.
//
// A xar archive is a header of 28 bytes, a table of contents (XML, compressed by
// zlib) and a heap with the files' bytes. A component package has a PackageInfo
// at its root; a product has a Distribution there and components in folders
// below. Read takes the table and those files and never touches a Payload;
// CheckMembers reads everything, which a signature's word about the whole needs.
//
// Formats: the header and table as Apple's xar writes them (xar.h, version 1);
// PackageInfo as pkgbuild does; Distribution as Apple's "Distribution Definition
// XML Schema Reference" says. A package is hostile: offsets, counts, depth and
// what unpacks are capped, and elements that decide what is read may stand only
// once, since another reader might take the other one.
package xar
