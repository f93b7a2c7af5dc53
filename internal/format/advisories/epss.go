package advisories

import (
	"fmt"
	"strconv"

	"github.com/packmill/packmill/internal/fleet"
)

const opEPSS = "advisories.epss"

// epssDocument is the part of an answer of FIRST's API that is read
// (api.first.org/epss, "Response"). Scores are texts there: "0.972240000".
type epssDocument struct {
	Data *[]struct {
		CVE   *string `json:"cve"`
		Score *string `json:"epss"`
		Date  *string `json:"date"`
	} `json:"data"`
}

// EPSS reads an answer of FIRST's API, by CVE id. A vulnerability that the model
// has no score for is not in it; an answer about none of those asked for is
// empty and no error.
func EPSS(data []byte) (map[string]fleet.Likelihood, error) {
	var doc epssDocument
	if err := decode(opEPSS, data, &doc); err != nil {
		return nil, err
	}
	switch {
	case doc.Data == nil:
		return nil, fleet.Errorf(fleet.Invalid, opEPSS, "", "has no data")
	case len(*doc.Data) > maxEntries:
		return nil, fleet.Errorf(fleet.Invalid, opEPSS, "data", "has more than %d entries", maxEntries)
	}
	out := make(map[string]fleet.Likelihood, len(*doc.Data))
	for i, e := range *doc.Data {
		object := fmt.Sprintf("data[%d]", i)
		said, err := texts(opEPSS, object, field{"cve", e.CVE}, field{"epss", e.Score}, field{"date", e.Date})
		if err != nil {
			return nil, err
		}
		if !fleet.ValidCVE(said[0]) {
			return nil, fleet.Errorf(fleet.Invalid, opEPSS, object, "cve is no CVE id: %.60q", said[0])
		}
		score, err := strconv.ParseFloat(said[1], 64)
		if err != nil || !(score >= 0 && score <= 1) { // not a number is neither
			return nil, fleet.Errorf(fleet.Invalid, opEPSS, object, "epss is no probability: %.60q", said[1])
		}
		if err := dated(opEPSS, object, "date", said[2]); err != nil {
			return nil, err
		}
		out[said[0]] = fleet.Likelihood{Probability: score, Date: said[2]}
	}
	return out, nil
}
