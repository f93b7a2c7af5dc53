package world

import (
	"time"

	"github.com/packmill/packmill/internal/sim/graph"
)

// windowsUpdates are what Windows Update has in this world: two months' patches
// for invented articles and CVEs.
func windowsUpdates() graph.Updates {
	return graph.Updates{
		Patches: []graph.Patch{
			{
				KB: "KB9000112", Name: "2026.11 B Security Updates for Windows 11", Short: "2026.11 B", Released: time.Date(2026, 11, 10, 18, 0, 0, 0, time.UTC),
				Category: "security", Cadence: "monthly", Severity: "critical", Score: 9.8, Exploited: []string{"CVE-2026-90001"}, Expeditable: true,
				Builds: map[string]string{"23H2": "22631.6199", "24H2": "26100.7171"},
			},
			{
				KB: "KB9000104", Name: "2026.10 B Security Updates for Windows 11", Short: "2026.10 B", Released: time.Date(2026, 10, 13, 17, 0, 0, 0, time.UTC),
				Category: "security", Cadence: "monthly", Severity: "important", Score: 8.1, Expeditable: true,
				Builds: map[string]string{"23H2": "22631.6060", "24H2": "26100.6899"},
			},
			{
				Name: "Windows 11, version 24H2", Feature: "Windows 11, version 24H2", Released: time.Date(2024, 10, 1, 17, 0, 0, 0, time.UTC),
				Until: time.Date(2026, 12, 8, 0, 0, 0, 0, time.UTC), Builds: map[string]string{"24H2": "26100.1742"},
			},
		},
		Issues: []graph.KnownIssue{{
			Product: "Windows 11, version 24H2", ID: "WI900001", Title: "Some printers print twice", Status: "investigating",
			Since: time.Date(2026, 11, 12, 9, 0, 0, 0, time.UTC), KB: "KB9000112",
		}},
	}
}
