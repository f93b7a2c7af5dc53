package fleet

import (
	"regexp"
	"time"
)

// AdvisorySources are the public sources of vulnerabilities that are asked about
// what vendors name; one without an address is not.
type AdvisorySources struct {
	KEV  string `json:"kev,omitempty"`  // https address of CISA's catalog as JSON
	EPSS string `json:"epss,omitempty"` // https address of FIRST's API
}

// A KEV is CISA's catalog of known exploited vulnerabilities as it was released
// at an instant.
type KEV struct {
	Version  string // "2026.11.17"
	Released time.Time
	Listed   map[string][]Exploited // by CVE id; one may be listed of several products
}

// Exploited is what the catalog says of one vulnerability in one product.
type Exploited struct {
	Vendor, Product string // as CISA spells them
	Added           string // when it was listed: a date, 2006-01-02
	Ransomware      bool   // known to be used by campaigns of ransomware
}

// A Likelihood is how probable EPSS holds the exploitation of a vulnerability.
type Likelihood struct {
	Probability float64 // from 0 to 1, within the next 30 days
	Date        string  // of the model's scores: 2006-01-02
}

// The form is that of CVE records and of CISA's catalog (its JSON schema, cveID).
var cvePattern = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,19}$`)

// ValidCVE reports whether a text is the id of a vulnerability:
// "CVE-2024-11477".
func ValidCVE(id string) bool { return cvePattern.MatchString(id) }
