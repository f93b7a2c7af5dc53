package graphpolicy

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

func TestCompliancePolicy(t *testing.T) {
	const good = `{"displayName":"Encrypted","@odata.type":"#microsoft.graph.windows10CompliancePolicy","bitLockerEnabled":true,
		"scheduledActionsForRule":[{"scheduledActionConfigurations":[{"actionType":"notification"},{"gracePeriodHours":12,"actionType":"block"}]}]}`
	got, err := CompliancePolicy([]byte(good))
	if err != nil || !strings.HasPrefix(string(got), `{"@odata.type":`) || strings.Contains(string(got), "\t") {
		t.Fatalf("%s (%v)", got, err)
	}
	for what, c := range map[string][2]string{
		"no list of actions, which": {`"scheduledActionsForRule":[`, `"other":[`},
		"has 0 actions":             {`"block"`, `"retire"`},
		"has 2 actions":             {`"notification"`, `"block"`},
		"/0/scheduledAction":        {`"scheduledActionConfigurations"`, `"configurations"`},
		"/@odata.type":              {`"#microsoft.graph.windows10CompliancePolicy"`, `"x"`},
	} {
		if _, err := CompliancePolicy([]byte(strings.Replace(good, c[0], c[1], 1))); err == nil || fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
