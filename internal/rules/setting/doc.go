// Package setting writes the PowerShell scripts that keep registry values and
// files on Windows as a configuration says: detect, remediate and revert.
//
// Before remediate changes a value or file for the first time it keeps what was
// there (registry values below HKLM\SOFTWARE\packmill\settings, files below
// %ProgramFiles%\packmill\settings); revert puts that back and forgets it. A
// later release may name fewer values: its remediate puts the others back, so
// that nothing of an older release stays behind.
//
// The scripts run as the system. What they keep lies where only administrators
// write, since whoever could write there would have the system write anything
// anywhere; and a path that leads through a link ends the script.
//
// Texts of a repository enter a script as literals only. A literal is plain
// ASCII in single quotes, in which PowerShell replaces nothing; a quote is
// doubled, and every other character is put together from its UTF-16 code unit,
// since PowerShell takes four typographic quotes for single quotes too and
// Windows PowerShell 5.1 reads a file without a byte-order mark in the machine's
// code page. (about_Quoting_Rules, about_Character_Encoding.)
package setting
