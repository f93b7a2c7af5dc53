package graphpolicy

import "fmt"

// CompliancePolicy checks a compliance policy and gives its one form. The
// service demands scheduledActionsForRule with one action of type block, and no
// more than one (resource type deviceComplianceScheduledActionForRule of Graph).
func CompliancePolicy(data []byte) ([]byte, error) {
	form, err := DeviceConfiguration(data)
	if err != nil {
		return nil, err
	}
	doc, err := parse(form)
	if err != nil {
		return nil, err
	}
	rules, ok := doc["scheduledActionsForRule"].([]any)
	if !ok || len(rules) == 0 {
		return nil, invalid("/scheduledActionsForRule: is no list of actions, which every compliance policy has")
	}
	blocks := 0
	for i, rule := range rules {
		r, _ := rule.(map[string]any)
		actions, ok := r["scheduledActionConfigurations"].([]any)
		if !ok {
			return nil, invalid("%s: is no list of actions", fmt.Sprintf("/scheduledActionsForRule/%d/scheduledActionConfigurations", i))
		}
		for _, action := range actions {
			if a, ok := action.(map[string]any); ok && a["actionType"] == "block" {
				blocks++
			}
		}
	}
	if blocks != 1 {
		return nil, invalid("/scheduledActionsForRule: has %d actions of type block; the service takes one", blocks)
	}
	return form, nil
}
