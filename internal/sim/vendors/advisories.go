package vendors

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Where the sources of vulnerabilities are, on hosts and paths of the real ones.
const (
	KEVAddress  = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
	EPSSAddress = "https://api.first.org/data/v1/epss"
)

// Exploited is an entry of CISA's catalog: from At on, until it is withdrawn.
type Exploited struct {
	Shown
	CVE        string `json:"cve"`
	Vendor     string `json:"vendor"`
	Product    string `json:"product"`
	Ransomware bool   `json:"ransomware,omitempty"`
}

// A Score is what EPSS gives a vulnerability, from At on.
type Score struct {
	Shown
	CVE         string  `json:"cve"`
	Probability float64 `json:"probability"`
}

// kev serves the catalog in the form of its JSON schema (cisagov/kev-data), the
// newest entries first. It was released when its newest entry came or went; one
// that never had an entry is not there.
func (v view) kev() answer {
	var released time.Time
	var listed []Exploited
	for _, e := range v.data.Exploited {
		for _, at := range []time.Time{e.At, e.Until} {
			if !at.IsZero() && !at.After(v.now) {
				released = later(released, at)
			}
		}
		if e.In(v.now) {
			listed = append(listed, e)
		}
	}
	if released.IsZero() {
		return answer{}
	}
	slices.SortStableFunc(listed, func(a, b Exploited) int { return b.At.Compare(a.At) })
	entries := []map[string]any{}
	for _, e := range listed {
		campaigns := "Unknown"
		if e.Ransomware {
			campaigns = "Known"
		}
		entries = append(entries, map[string]any{
			"cveID": e.CVE, "vendorProject": e.Vendor, "product": e.Product, "vulnerabilityName": e.Vendor + " " + e.Product + " Vulnerability",
			"dateAdded": e.At.UTC().Format(time.DateOnly), "dueDate": e.At.UTC().AddDate(0, 0, 21).Format(time.DateOnly),
			"shortDescription": e.Vendor + " " + e.Product + " contains a simulated vulnerability.", "requiredAction": "Apply mitigations per vendor instructions.",
			"knownRansomwareCampaignUse": campaigns, "forensicTriage": "No", "notes": "", "cwes": []string{},
		})
	}
	a := jsonAnswer(map[string]any{
		"title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": released.UTC().Format("2006.01.02"),
		"dateReleased": released.UTC().Format("2006-01-02T15:04:05.0000Z"), "count": len(entries), "vulnerabilities": entries,
	})
	a.modified = released
	return a
}

// epss serves the scores of the vulnerabilities that cve names, separated by
// commas, as the API documents (api.first.org/epss): at most 100, texts with nine
// digits, of today's run of the model. One it has no score for is left out; a
// longer question than it takes is refused.
func (v view) epss(cve string) answer {
	const most, text = 100, 2000
	if len(cve) > text {
		return answer{}
	}
	scores := map[string]float64{}
	for _, s := range v.data.Scores {
		if s.In(v.now) {
			scores[s.CVE] = s.Probability
		}
	}
	below := func(p float64) (n int) {
		for _, other := range scores {
			if other <= p {
				n++
			}
		}
		return n
	}
	list := []map[string]any{}
	for _, id := range strings.Split(cve, ",") {
		if p, ok := scores[id]; ok && len(list) < most {
			list = append(list, map[string]any{
				"cve": id, "epss": fmt.Sprintf("%.9f", p), "percentile": fmt.Sprintf("%.9f", float64(below(p))/float64(len(scores))),
				"date": v.now.UTC().Format(time.DateOnly),
			})
		}
	}
	body, err := json.Marshal(map[string]any{
		"status": "OK", "status-code": 200, "version": "1.0", "access": "private, no-cache", "total": len(list), "offset": 0, "limit": most, "data": list,
	})
	if err != nil {
		return answer{} // texts and numbers do marshal
	}
	return answer{body: body, kind: "application/json"}
}
