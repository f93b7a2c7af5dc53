package graph_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/sim/event"
	"github.com/packmill/packmill/internal/sim/graph"
)

// TestPoliciesAreStrict asks for what the service refuses.
func TestPoliciesAreStrict(t *testing.T) {
	w := newWorld(t, nil)
	configure(t, w.policies(nordic), configuration(t, fleet.Stable, "1.0"))
	catalog := "/beta/deviceManagement/configurationPolicies/" + w.edited("configurationPolicies", "the-catalogpolicy", nil)
	ring := "/beta/deviceManagement/deviceConfigurations/" + w.edited("deviceConfigurations", "the-deviceconfiguration", nil)
	for what, c := range map[string]struct {
		method, path, body string
		want               int
	}{
		"a patch of settings":        {"PATCH", catalog, `{"settings":[]}`, 400},
		"a PUT without settings":     {"PUT", catalog, `{"name":"x","platforms":"windows10","technologies":"mdm"}`, 400},
		"a patch without type":       {"PATCH", ring, `{"qualityUpdatesDeferralPeriodInDays":1}`, 400},
		"a policy that blocks never": {"POST", "/beta/deviceManagement/deviceCompliancePolicies", `{"@odata.type":"#microsoft.graph.windows10CompliancePolicy","displayName":"x","scheduledActionsForRule":[]}`, 400},
		"the catalog in v1.0":        {"GET", strings.Replace(catalog, "beta", "v1.0", 1), ``, 400},
		"an assignment to nobody":    {"POST", ring + "/assign", `{"assignments":[{"target":{"@odata.type":"#microsoft.graph.groupAssignmentTarget","groupId":"x"}}]}`, 400},
		"a report of everything":     {"POST", "/beta/deviceManagement/reports/getConfigurationPolicyDevicesReport", `{"select":["UPN"]}`, 400},
		"a description too long":     {"PATCH", catalog, `{"description":"` + strings.Repeat("x", 1001) + `"}`, 400},
		"a patch of the name":        {"PATCH", catalog, `{"name":"y"}`, 200},
	} {
		if w.send(c.method, c.path, c.body, c.want); t.Failed() {
			t.Log(what)
		}
	}
	if n := len(w.get(catalog + "/settings")["value"].([]any)); n != 25 {
		t.Errorf("a page has %d settings", n)
	}
}

// TestConfigurationKilled ends the caller at every event of a rollout of a first
// release and of a second one in place, and lets a new caller finish: the end is
// that of a run that was left alone.
func TestConfigurationKilled(t *testing.T) {
	bring := func(ctx context.Context, c *policy.Console, version string) error {
		if _, err := c.Publish(ctx, configuration(t, fleet.Candidate, version), nil); err != nil {
			return err
		}
		group, err := c.Group(ctx, "dogfood", nil)
		if err != nil {
			return err
		}
		return c.Assign(ctx, baseline, fleet.Candidate, []fleet.Target{{Intent: "required", Group: group}, {Intent: "required", Group: "all users"}})
	}
	end := func(w *world) string {
		state := must[fleet.AppState](t)(w.policies(nordic).Observe(t.Context(), baseline, fleet.Candidate))
		ours, foreign, err := w.policies(nordic).Policies.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, o := range ours {
			out = append(out, fmt.Sprint(o.Setting, o.Version, o.Name, fleet.DigestOf(o.Content)))
		}
		return fmt.Sprint(state.Version, len(state.Targets), state.Duplicates, len(foreign), out)
	}
	alone := newWorld(t, nil)
	for _, version := range []string{"1.0", "1.1"} {
		if err := bring(t.Context(), alone.policies(nordic), version); err != nil {
			t.Fatal(err)
		}
	}
	want, total := end(alone), len(alone.events)
	if total < 25 {
		t.Fatalf("only %d events", total)
	}
	for kill := 1; kill <= total; kill++ {
		w := newWorld(t, func(o *graph.Options) { o.ListLag = 1 })
		for _, version := range []string{"1.0", "1.1"} {
			ctx, cancel := context.WithCancel(t.Context())
			w.when(func(event.Event) {
				if len(w.events) == kill {
					cancel()
				}
			})
			err := bring(ctx, w.policies(nordic), version)
			if ctx.Err() != nil && err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("killed at %d %s: %v", kill, alone.events[kill-1].Name, err)
			}
			cancel()
			w.when(nil)
			if err := bring(t.Context(), w.policies(nordic), version); err != nil {
				t.Fatalf("after a kill at %d %s: %v", kill, alone.events[kill-1].Name, err)
			}
		}
		if got := end(w); got != want {
			t.Errorf("after a kill at %d %s:\n%s\nwant\n%s", kill, alone.events[kill-1].Name, got, want)
		}
		w.stop()
		w.start()
	}
}

// TestConfigurationStumbles lets every operation fail once, with and without
// effect: one run gets through, and nothing is there twice.
func TestConfigurationStumbles(t *testing.T) {
	for _, operation := range []string{
		"configurationPolicy.create", "configurationPolicy.put", "configurationPolicy.patch", "configurationPolicy.assign", "configurationPolicy.settings", "deviceConfiguration.create",
		"deviceConfiguration.patch", "deviceCompliancePolicy.actions", "script.create", "script.patch", "script.assign",
	} {
		for name, fault := range map[string]graph.Fault{
			"lost": {Lose: true}, "500": {Status: 500}, "429": {Status: 429, RetryAfter: 3}, "429 silent": {Status: 429}, "409": {Status: 409}, "404": {Status: 404},
		} {
			t.Run(operation+" "+name, func(t *testing.T) {
				w := newWorld(t, func(o *graph.Options) {
					o.ListLag = 1
					o.Fault = func(c graph.Call) graph.Fault {
						if c.Operation == operation && c.N == 1 {
							return fault
						}
						return graph.Fault{}
					}
				})
				for _, version := range []string{"1.0", "1.1"} {
					c := w.policies(nordic)
					state := configure(t, c, configuration(t, fleet.Stable, version))
					if state.Artifact != artifact(version) {
						t.Errorf("%s: %+v", version, state)
					}
					if err := c.Assign(t.Context(), baseline, fleet.Stable, []fleet.Target{{Intent: "required", Group: "all devices"}}); err != nil {
						t.Fatal(err)
					}
				}
				ours, foreign, err := w.policies(nordic).Policies.All(t.Context())
				if err != nil || len(ours) != 5 || len(foreign) != 0 {
					t.Errorf("%d objects and %d others: %v", len(ours), len(foreign), err)
				}
				state := must[fleet.AppState](t)(w.policies(nordic).Observe(t.Context(), baseline, fleet.Stable))
				if len(state.Duplicates) > 0 || len(state.Targets) != 1 {
					t.Errorf("%+v", state)
				}
			})
		}
	}
}

// TestWithdrawalStumbles lets each look of a withdrawal fail once: it is one that
// stops devices, and gets through.
func TestWithdrawalStumbles(t *testing.T) {
	for _, operation := range []string{"app.list", "app.get", "assignment.list", "configurationPolicy.list"} {
		t.Run(operation, func(t *testing.T) {
			w := newWorld(t, nil)
			if err := rollout(t.Context(), t, w.client(nordic), "24.09", nil); err != nil {
				t.Fatal(err)
			}
			failed := false
			w.mu.Lock()
			w.fault = func(c graph.Call) graph.Fault {
				if c.Operation != operation || failed {
					return graph.Fault{}
				}
				failed = true
				return graph.Fault{Status: 500}
			}
			w.mu.Unlock()
			if err := w.policies(nordic).Assign(t.Context(), pkg, fleet.Candidate, nil); err != nil {
				t.Fatal(err)
			}
			if state := must[fleet.AppState](t)(w.policies(nordic).Observe(t.Context(), pkg, fleet.Candidate)); len(state.Targets) > 0 {
				t.Errorf("left %+v", state.Targets)
			}
			if !failed {
				t.Error("nothing failed")
			}
		})
	}
}
