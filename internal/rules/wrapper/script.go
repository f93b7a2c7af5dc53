package wrapper

import (
	_ "embed" // the script
	"strings"
)

// Version labels the script, packmill.json and the command files: raise it with
// any change of what they do.
const Version = "packmill wrap v3"

//go:embed packmill.ps1
var script string

// Script is packmill.ps1 as it lies in a setup folder: ASCII, which Windows
// PowerShell reads alike with and without a byte order mark, and line ends as
// signing tools expect them. Whoever signs it signs these bytes.
func Script() []byte {
	return []byte(strings.ReplaceAll(strings.ReplaceAll(script, "\r\n", "\n"), "\n", "\r\n"))
}

// Exit codes of the script that mean "not now".
const (
	CodeOutsideWindow  = 79001
	CodeBusy           = 79002
	CodeRestartPending = 79003
	CodeInUse          = 79004
)

// ConsoleCodes are what the script's exit codes mean to a console; others are
// failures. The vendor's own codes have been translated before.
func ConsoleCodes() map[int]string {
	return map[int]string{
		0: Success, 3010: SoftReboot, 1641: HardReboot, 1618: Retry,
		CodeOutsideWindow: Retry, CodeBusy: Retry, CodeRestartPending: Retry, CodeInUse: Retry,
	}
}
