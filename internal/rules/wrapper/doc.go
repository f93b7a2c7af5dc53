// Package wrapper says how a Windows installer is run on a device, and brings
// the script that does it.
//
// A setup folder holds the vendor's files, packmill.ps1 and packmill.json. The
// script is the same for every package and is reviewed once; the JSON file, a
// Setup, says what it does for one: the vendor's command lines, what may not run
// meanwhile, what is kept, which exit codes mean what. When it may do it differs
// from tenant to tenant: windows stand on the console's command line (Line), so
// that one artifact serves all of them.
//
// The split has a second use. What stands in packmill.json is the command that
// Windows is given, to the character: a test cell without PowerShell runs the
// very same one.
//
// Names, arguments and properties come from the catalog and are hostile: they
// are quoted here, once, by the rules of who reads them (Argument, Property), and
// no shell ever sees them.
package wrapper
