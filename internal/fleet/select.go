package fleet

import (
	"encoding/json"
	"strings"
)

// DefaultInactiveAfterDays is how many days a device may be unseen and still
// belong to a wave that says nothing of it.
const DefaultInactiveAfterDays = 14

// The salts of a wave's order of devices.
const (
	SaltCycle = "cycle" // others come first in every cycle
	SaltFixed = "fixed" // the same devices come first each time
)

// Select says which devices a wave takes: all those whose tenant and device
// have what every pair asks for, and of these the ones that are among the given
// share of the tenant's devices by salted hash.
type Select struct {
	Tenants    map[string]Values `json:"tenants,omitempty"`
	Attributes map[string]Values `json:"attributes,omitempty"`
	Percent    *float64          `json:"percent,omitempty"` // of all the tenant's devices, earlier waves included; 100 when absent
	Salt       string            `json:"salt,omitempty"`    // cycle (also when empty), fixed
	Cover      []string          `json:"cover,omitempty"`   // attributes whose values the wave should show
	Sites      bool              `json:"sites,omitempty"`
}

// Attributes are the names of what a selector can ask of a device. All but
// "group" have one value a device.
func Attributes() []string {
	return []string{"platform", "osBuild", "manufacturer", "model", "department", "country", GroupAttribute}
}

// GroupAttribute asks for the groups a device is in: several, or none. An
// inventory tells each as an attribute of its own, GroupPrefix and the name of
// the group's folder.
const (
	GroupAttribute = "group"
	GroupPrefix    = "group:"
)

// Values are what a selector lets pass: patterns in which * stands for any text,
// and, after "!", patterns of what it does not. JSON has one as a string,
// several as a list.
type Values []string

// Admit reports whether what a device or tenant has passes: one of it is like
// one of the patterns, if there are patterns without "!", and none of it is
// like one with it. What has nothing, or only "", is like "" alone.
func (v Values) Admit(have ...string) bool {
	wanted, found := false, false
	for _, pattern := range v {
		without, not := strings.CutPrefix(pattern, "!")
		hit := false
		for _, h := range have {
			hit = hit || like(without, h)
		}
		if len(have) == 0 {
			hit = without == ""
		}
		if not && hit {
			return false
		}
		if !not {
			wanted, found = true, found || hit
		}
	}
	return found || !wanted
}

// like reports whether s is what the pattern says. "" is nothing: it is like no
// pattern but "".
func like(pattern, s string) bool {
	if s == "" || pattern == "" {
		return s == pattern
	}
	head, rest, starred := strings.Cut(pattern, "*")
	if !starred {
		return s == pattern
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(s, part)
		}
		_, tail, ok := strings.Cut(s, part)
		if !ok {
			return false
		}
		s, rest = tail, after
	}
}

// String is the values as a sentence lists them.
func (v Values) String() string { return strings.Join(v, " or ") }

// UnmarshalJSON reads a string or a list of strings.
func (v *Values) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*v = Values{one}
		return nil
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*v = list
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads, one value as a string.
func (v Values) MarshalJSON() ([]byte, error) {
	if len(v) == 1 {
		return json.Marshal(v[0])
	}
	return json.Marshal([]string(v))
}
