package advisories

import (
	"fmt"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

const opKEV = "advisories.kev"

// kevDocument is the part of the catalog that is read. Its JSON schema is
// known_exploited_vulnerabilities_schema.json beside it (cisagov/kev-data); the
// campaigns of ransomware are the one part of it that may be left out. Dates by
// which federal agencies must act are not read: they are about those agencies.
type kevDocument struct {
	Version  *string     `json:"catalogVersion"`
	Released *string     `json:"dateReleased"`
	Count    *int        `json:"count"`
	Entries  *[]kevEntry `json:"vulnerabilities"`
}

type kevEntry struct {
	CVE        *string `json:"cveID"`
	Vendor     *string `json:"vendorProject"`
	Product    *string `json:"product"`
	Added      *string `json:"dateAdded"`
	Ransomware string  `json:"knownRansomwareCampaignUse"` // "Known" or "Unknown"
}

// KEV reads CISA's catalog of known exploited vulnerabilities in its JSON form.
// A catalog with another number of entries than it states was cut or edited on
// its way, and is an error.
func KEV(data []byte) (fleet.KEV, error) {
	var doc kevDocument
	if err := decode(opKEV, data, &doc); err != nil {
		return fleet.KEV{}, err
	}
	head, err := texts(opKEV, "", field{"catalogVersion", doc.Version}, field{"dateReleased", doc.Released})
	if err != nil {
		return fleet.KEV{}, err
	}
	released, err := time.Parse(time.RFC3339, head[1])
	if err != nil {
		return fleet.KEV{}, fleet.Errorf(fleet.Invalid, opKEV, "dateReleased", "is no instant: %.60q", head[1])
	}
	switch {
	case doc.Entries == nil || doc.Count == nil:
		return fleet.KEV{}, fleet.Errorf(fleet.Invalid, opKEV, "", "has no vulnerabilities, or no count of them")
	case len(*doc.Entries) != *doc.Count:
		return fleet.KEV{}, fleet.Errorf(fleet.Invalid, opKEV, "vulnerabilities", "are %d; the catalog says that it has %d", len(*doc.Entries), *doc.Count)
	case *doc.Count > maxEntries:
		return fleet.KEV{}, fleet.Errorf(fleet.Invalid, opKEV, "vulnerabilities", "are more than %d", maxEntries)
	}
	out := fleet.KEV{Version: head[0], Released: released.UTC(), Listed: make(map[string][]fleet.Exploited, *doc.Count)}
	for i, e := range *doc.Entries {
		object := fmt.Sprintf("vulnerabilities[%d]", i)
		said, err := texts(opKEV, object, field{"cveID", e.CVE}, field{"vendorProject", e.Vendor}, field{"product", e.Product}, field{"dateAdded", e.Added})
		if err != nil {
			return fleet.KEV{}, err
		}
		if !fleet.ValidCVE(said[0]) {
			return fleet.KEV{}, fleet.Errorf(fleet.Invalid, opKEV, object, "cveID is no CVE id: %.60q", said[0])
		}
		if err := dated(opKEV, object, "dateAdded", said[3]); err != nil {
			return fleet.KEV{}, err
		}
		out.Listed[said[0]] = append(out.Listed[said[0]], fleet.Exploited{
			Vendor: said[1], Product: said[2], Added: said[3], Ransomware: strings.EqualFold(strings.TrimSpace(e.Ransomware), "Known"),
		})
	}
	return out, nil
}
