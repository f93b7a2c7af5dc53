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
	// addressIn finds addresses in the text of JSON. What must stay comes first:
	// the one field that has the look of an address and is none, its local part
	// derived and its domain packmill's, and escapes, whose letter is no part of
	// the address that follows.
	addressIn = regexp.MustCompile(`"messageId":"[0-9a-f]+@[a-z0-9.-]+"|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|` + address.String())
)

// nobody stands where an address was.
const nobody = "(address)"

// scrub takes addresses out of a payload. They come with the texts of other
// systems, in errors and details, where nobody thinks of them: refusing the row
// would lose the fact.
func scrub(payload []byte) []byte {
	return addressIn.ReplaceAllFunc(payload, func(found []byte) []byte {
		if found[0] == '"' || found[0] == '\\' {
			return found
		}
		return []byte(nobody)
	})
}

// refusePersonal says what in a payload looks like personal data.
func refusePersonal(payload []byte) error {
	if field := personal.FindSubmatch(payload); field != nil {
		return fmt.Errorf("a row has a field %q, which tells of a person or a device by name: evidence keeps keyed hashes only", field[1])
	}
	for _, found := range addressIn.FindAll(payload, -1) {
		if found[0] != '"' && found[0] != '\\' {
			return fmt.Errorf("a row holds what looks like a mail address or a user name: evidence keeps no personal data")
		}
	}
	return nil
}
