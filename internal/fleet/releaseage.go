package fleet

import "encoding/json"

// DefaultSizeFactor is how many times larger or smaller than its predecessor an
// installer may be where the package does not say.
const DefaultSizeFactor = 4

// A ReleaseAge is how long a version must be out before it is proposed, by
// change class. In JSON it is a duration when it is the same for all classes:
// "72h", or {"default": "72h", "major": "336h"}.
type ReleaseAge struct {
	Default  Duration  `json:"default"`
	Major    *Duration `json:"major,omitempty"`
	Minor    *Duration `json:"minor,omitempty"`
	Patch    *Duration `json:"patch,omitempty"`
	New      *Duration `json:"new,omitempty"`      // the first release of a package
	Security *Duration `json:"security,omitempty"` // at most, for a version that is known to fix a vulnerability
}

// For is the age that a version of the change class must have. security says
// that it is known to fix a vulnerability, which shortens the wait and never
// makes it longer.
func (a ReleaseAge) For(class string, security bool) Duration {
	age := a.Default
	if own := map[string]*Duration{"major": a.Major, "minor": a.Minor, "patch": a.Patch, "new": a.New}[class]; own != nil {
		age = *own
	}
	if security && a.Security != nil {
		age = min(age, *a.Security)
	}
	return age
}

// plainAge is a ReleaseAge without its methods.
type plainAge ReleaseAge

// MarshalJSON writes a duration when there is only one.
func (a ReleaseAge) MarshalJSON() ([]byte, error) {
	if a == (ReleaseAge{Default: a.Default}) {
		return json.Marshal(a.Default)
	}
	return json.Marshal(plainAge(a))
}

// UnmarshalJSON reads either form.
func (a *ReleaseAge) UnmarshalJSON(data []byte) error {
	var d Duration
	if json.Unmarshal(data, &d) == nil {
		*a = ReleaseAge{Default: d}
		return nil
	}
	return json.Unmarshal(data, (*plainAge)(a))
}
