package pe

import (
	"bytes"
	"encoding/xml"
	"slices"
)

// executionLevel is the level attribute of requestedExecutionLevel in the
// manifest ("Application manifests", Win32 documentation), "" when there is no
// such thing. A manifest that cannot be read asks for nothing: whether Windows
// starts such a program shows in a test.
func executionLevel(t resources) string {
	data := t.load(key{id: typeManifest}, key{any: true}, maxResource)
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	for {
		token, err := d.RawToken()
		if err != nil {
			return ""
		}
		element, ok := token.(xml.StartElement)
		if !ok || element.Name.Local != "requestedExecutionLevel" {
			continue
		}
		for _, a := range element.Attr {
			if a.Name.Local == "level" && slices.Contains([]string{"asInvoker", "highestAvailable", "requireAdministrator"}, a.Value) {
				return a.Value
			}
		}
		return ""
	}
}
