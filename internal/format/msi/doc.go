// Package msi reads Windows Installer packages: every table of their database,
// and from these what a reviewer or a detection rule asks for (files with their
// target paths, services, registry values, upgrades, conditions, custom
// actions), the summary information, what is embedded, and the code signature.
// [File.WithSignature] writes a package again with a signature in it.
//
// An MSI is a relational database in an OLE compound file ([MS-CFB]). Table
// and column names, the string pool and the column-major layout of tables are
// documented nowhere officially; the reader follows what msitools and Wine
// read, and its tests read what msitools wrote. What tables mean stands in the
// Windows Installer reference, "Database Tables".
//
// Nothing is read that is not asked for: [Read] takes the directory, the string
// pool, the Property table and the summary information; each view reads its own
// tables. A cabinet of hundreds of megabytes is passed over.
//
// A file is hostile. What the compound-file library takes on trust is surveyed
// before it is called; what is held of a file is capped; its panic is an error.
// Errors are of kind Invalid and name the structure and the offset: that of the
// file for the container, that of the stream for what a stream holds.
package msi
