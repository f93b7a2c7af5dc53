package evidence

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// FuzzUnseal opens what somebody may have pushed instead of an envelope: never
// a panic, and whatever opens is exactly what was sealed.
func FuzzUnseal(f *testing.F) {
	key := newKey(f)
	sealed, err := seal(f.Context(), key, statement{Branch: Control, Path: "heartbeat/aa/x.jsonl", Key: key.KeyID(), At: start()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(bytes.ReplaceAll(sealed, []byte(`"payload"`), []byte(`"Payload"`)))
	f.Add(append([]byte(" "), sealed...))
	f.Add([]byte(`{"payloadType":"","payload":"","signatures":[{"keyid":"","sig":""}]}` + "\n"))
	f.Add([]byte("null\n"))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := unseal(key, data); err == nil && !bytes.Equal(data, sealed) {
			t.Errorf("something else opens: %q", data)
		}
	})
}

// FuzzScrub keeps any text valid JSON, free of addresses, and scrubbed once is
// scrubbed.
func FuzzScrub(f *testing.F) {
	for _, text := range []string{"jane@corp.example", "a\nb@c.example", `\\\u@d.example`, "\u2028x@y.example", `"messageId":"a@b.example"`, "x@y@z.example.com"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		payload, err := json.Marshal(fleet.Heartbeat{Command: text})
		if err != nil {
			t.Skip("no row has this text: it has no JSON form")
		}
		once := scrub(payload)
		if !json.Valid(once) || !bytes.Equal(scrub(once), once) || refusePersonal(once) != nil {
			t.Errorf("%s becomes %s", payload, once)
		}
	})
}
