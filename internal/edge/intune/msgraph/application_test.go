package msgraph

import (
	"encoding/base64"
	"testing"
)

func TestApplicationOf(t *testing.T) {
	for claims, want := range map[string]string{
		`{"appid":"ABC-1"}`: "abc-1", `{"azp":"d"}`: "d", `{"appid":"a","azp":"b"}`: "a", `{}`: "", `[]`: "", `{"appid":7}`: "",
	} {
		got, err := applicationOf("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", claims, got, err)
		}
	}
	if got, err := applicationOf("opaque"); err == nil {
		t.Errorf("an opaque token is of %q", got)
	}
}
