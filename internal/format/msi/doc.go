// Package msi reads what a Windows Installer package says of itself: its
// Property table, the architecture in its summary information, and its code
// signature; and writes a package again with a signature in it.
//
// An MSI is a relational database in an OLE compound file ([MS-CFB]). Table
// and column names, the string pool and the column-major layout of tables are
// documented nowhere officially; the reader follows what msitools and Wine
// read, and its tests read what msitools wrote. A file is hostile: what is held
// of it is capped, and a reader's panic is an error of kind Invalid.
package msi
