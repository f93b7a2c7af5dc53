// Package failcode says in plain words what the error codes mean that devices
// report for an installation: Intune's own, those of the Windows Installer, and
// those of Windows.
//
// A code comes in one of three dresses. An installer's exit code is a small
// number (0x643 is 1603). Windows wraps such numbers as HRESULTs of the facility
// Win32 (0x80070643 is 1603 again; [MS-ERREF], section 2.1). What Intune's own
// agent finds has HRESULTs of its own (0x87D…). A code that is not in the table is
// told as it is: no meaning is invented.
package failcode

import (
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/rules/wrapper"
)

// Words is what a code means, "" for one that is not known. It takes hexadecimal
// with 0x, and decimal as some reports have it, which may be negative.
func Words(code string) string {
	n, ok := parse(code)
	if !ok {
		return ""
	}
	if n>>16 == 0x8007 {
		n &= 0xffff
	}
	if words := ownWords()[int(n)]; words != "" {
		return words
	}
	if n < 1<<16 {
		return windows()[n]
	}
	return service()[n]
}

// Tell is a code with its meaning, for people: "0x87d1041c (installed, but not
// detected afterwards)"; the code alone where the meaning is not known.
func Tell(code string) string {
	if words := Words(code); words != "" {
		return code + " (" + words + ")"
	}
	return code
}

// TellAll tells each of some codes, in their order.
func TellAll(codes []string) []string {
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = Tell(c)
	}
	return out
}

func parse(code string) (uint32, bool) {
	s := strings.ToLower(strings.TrimSpace(code))
	if digits, hex := strings.CutPrefix(s, "0x"); hex {
		n, err := strconv.ParseUint(digits, 16, 32)
		return uint32(n), err == nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < -1<<31 || n > 1<<32-1 {
		return 0, false
	}
	return uint32(n), true // the two's complement is wanted
}

// ownWords are the exit codes of packmill's own wrapper script.
func ownWords() map[int]string {
	return map[int]string{
		wrapper.CodeOutsideWindow:  "put off: outside the maintenance window",
		wrapper.CodeBusy:           "put off: the user was busy",
		wrapper.CodeRestartPending: "put off: a restart was pending",
		wrapper.CodeInUse:          "put off: the program was in use",
	}
}

// service are the codes of Intune's agent and of its mobile device management.
//
// Microsoft, "App installation errors" (learn.microsoft.com,
// troubleshoot/mem/intune/app-management/app-install-error-codes), has those of
// 0x87D1…, 0x8007… and 0x8000…. It has no list of the agent's 0x87D3…: these are
// from field reports that agree with each other (anoopcnair.com, "Intune
// Management Extension deep dive"; Microsoft's questions and answers). Of
// 0x87D30068, 0x87D30067 and 0x87D3006A it is agreed that the content could not be
// had, and not always why.
func service() map[uint32]string {
	return map[uint32]string{
		0x8000ffff: "unexpected failure of the installation",
		0x80004005: "unspecified error",
		0x87d1041c: "installed, but not detected afterwards",
		0x87d1fde8: "remediation failed",
		0x87d13b9f: "installed, but the device reports it as not installed",
		0x87d30000: "the device's agent found no outcome",
		0x87d30006: "the device's agent failed without saying why",
		0x87d30065: "the device could not get the app's information",
		0x87d30067: "the downloaded content could not be unpacked",
		0x87d30068: "the content could not be downloaded",
		0x87d3006a: "the download of the content timed out",
		0x87d300c9: "the installer still ran when its time was over",
		0x87d300cd: "the user logged off meanwhile",
	}
}

// windows are exit codes of the Windows Installer (Microsoft, "MsiExec.exe and
// InstMsi.exe error messages") and errors of Windows (Microsoft, "System error
// codes").
func windows() map[uint32]string {
	return map[uint32]string{
		2: "a file was not found", 3: "a folder was not found", 4: "too many open files", 5: "access denied", 13: "invalid data", 14: "out of memory",
		32: "a file was in use", 39: "the disk was full", 87: "an invalid parameter", 112: "not enough disk space", 126: "a module was not found",
		127: "a procedure was not found in a module", 193: "no valid program for this system", 206: "a path was too long", 267: "an invalid folder",
		619: "no connection to the network", 1223: "cancelled by the user", 1259: "blocked as not compatible with this Windows",
		1392: "a file or folder is damaged", 1460: "timed out",
		1601: "the Windows Installer service could not be reached", 1602: "cancelled by the user", 1603: "fatal error during the installation",
		1604: "the installation was suspended and is not complete", 1605: "the product is not installed", 1606: "a feature is not registered",
		1608: "unknown property", 1610: "the product's registration is damaged", 1612: "the installation source was not available",
		1613: "a newer Windows Installer is needed", 1614: "the product was uninstalled", 1618: "another installation was running",
		1619: "the package could not be opened", 1620: "the package is not valid", 1622: "the log file could not be opened",
		1623: "the language is not supported", 1624: "a transform could not be applied", 1625: "forbidden by policy",
		1627: "a function failed during the installation", 1632: "the folder for temporary files is full or closed",
		1633: "the package is not for this platform", 1635: "the patch could not be opened", 1636: "the patch is not valid",
		1638: "another version is installed already", 1639: "an invalid command line", 1640: "not allowed in a remote session",
		1641: "installed, and the device restarts", 1642: "the patch is not for what is installed", 1643: "the patch is forbidden by policy",
		1644: "the customization is forbidden by policy", 1645: "not allowed over a remote connection", 1646: "the patch cannot be removed",
		1648: "no valid sequence of patches", 1649: "the patch is forbidden by policy", 1654: "the user may not install this",
		3010: "installed, a restart is needed", 3017: "failed, and a restart is needed before it is tried again",
	}
}
