package evidence

import (
	"fmt"
	"regexp"
)

// What evidence never holds, because it can never be removed again.
var (
	// address is the look of an e-mail address or a user principal name. The
	// first label after the @ starts with a letter and a dot follows a label
	// later: "pkg@1.2.3" and "@scope/pkg" are none.
	address = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b`)
	// personal are names of fields that tell of a person or name a device.
	personal = regexp.MustCompile(`(?i)"(user|users|userName|userPrincipalName|upn|mail|email|emailAddress|displayName|givenName|surname|phone|mobilePhone|owner|primaryUser|deviceName|hostName|serialNumber|azureADDeviceId)":`)
	// messageID is the one field that has the look of an address and is none:
	// its local part is derived, its domain packmill's.
	messageID = regexp.MustCompile(`"messageId":"[0-9a-f]+@[a-z0-9.-]+"`)
)

// refusePersonal says what in a payload looks like personal data.
func refusePersonal(payload []byte) error {
	if field := personal.FindSubmatch(payload); field != nil {
		return fmt.Errorf("a row has a field %q, which tells of a person or a device by name: evidence keeps keyed hashes only", field[1])
	}
	if address.Match(messageID.ReplaceAllLiteral(payload, nil)) {
		return fmt.Errorf("a row holds what looks like a mail address or a user name: evidence keeps no personal data")
	}
	return nil
}

// Scrub replaces what looks like a mail address or user principal name, for
// texts of other systems that are kept as a detail.
func Scrub(text string) string { return address.ReplaceAllLiteralString(text, "(address)") }
