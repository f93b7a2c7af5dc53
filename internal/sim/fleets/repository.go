package fleets

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// versions are the releases a package may have: what the fleet had before, and
// the new one.
const (
	before = "1.0"
	newest = "2.0"
)

// weekOf is the week, from 0, in which a package has its new release, -1 for
// none: the catalog's first part changes in the first week, its next part in
// the second.
func (s Size) weekOf(i int) int {
	if week := i / s.changed(); week < 2 {
		return week
	}
	return -1
}

func (s Size) releases(i int) map[string]fleet.Release {
	out := map[string]fleet.Release{before: release(s.pkg(i), 1)}
	if s.weekOf(i) >= 0 {
		out[newest] = release(s.pkg(i), 2)
	}
	return out
}

// tenantOf is a tenant, without its policy and packages.
func (s Size) tenantOf(i int) fleet.Tenant {
	id := s.tenant(i)
	role := "customer"
	if i == 0 {
		role = "own"
	}
	t := fleet.Tenant{
		ID: id, Name: fmt.Sprintf("Tenant %d", i), Labels: map[string]string{"role": role}, Intune: &fleet.Intune{Directory: guid("directory", id)},
		Zone: pick([]string{"Europe/Helsinki", "Europe/Stockholm", "America/New_York", "Asia/Tokyo"}, i),
	}
	if i%3 == 1 {
		t.Windows = map[string]fleet.Window{"nights": {On: []string{"Mon", "Tue", "Wed", "Thu", "Fri"}, From: "20:00", Until: "23:00", For: []string{"install", "reboot"}}}
	}
	return t
}

// repository is what the files of a fleet say, without evaluating them: CUE is
// no part of what is measured in memory.
func (s Size) repository(files map[string][]byte) *fleet.Repository {
	r := &fleet.Repository{
		Commit: hash(40, "commit", 0), Publishers: map[string]fleet.Publisher{}, Packages: map[fleet.PackageID]fleet.Package{},
		Matrices: map[string]fleet.Environment{"windows-11": {Platform: "windows", OS: "Windows 11 24H2", Arch: "x64", Runner: fleet.Runner{GitHub: "windows-11"}}},
		Week:     weekValue(), Waves: waveValues(), Freezes: map[string]fleet.Freeze{}, Holds: map[string]fleet.Hold{},
		Cycles: map[fleet.CycleID]fleet.Cycle{}, Plans: map[fleet.CycleID]map[string]fleet.PlanRecord{}, Approvals: map[fleet.CycleID]map[string]fleet.Approval{},
		Operator: fleet.Operator{Name: "Example MSP", Approvers: map[string][]fleet.Person{"releases": {{Login: "ines", Name: "Ines Lind", From: "2026-01-01"}}}, Trust: fleet.Trust{Approvals: 1}},
		Partners: map[string]fleet.Partner{}, Tenants: map[fleet.TenantID]fleet.Tenant{}, Blobs: map[string]string{},
	}
	for i := range s.Packages {
		id := s.pkg(i)
		publisher := path.Dir(string(id))
		r.Publishers[publisher] = fleet.Publisher{Name: publisher, Hosts: []string{publisher + ".example"}, Unsigned: "accepted"}
		r.Packages[id] = fleet.Package{
			ID: id, Name: id.Slug(), Kind: "application", Sources: []string{"https://" + publisher + ".example/releases"}, Updater: "none",
			Installers: map[string]fleet.Installer{"x64": {
				Platform: "windows", Arch: "x64", Type: "msi", Scope: "machine", RunAs: "system", InUse: "wait", Restart: "never", Minutes: 60,
				Detect: []fleet.Detect{{Operator: "=", MSIProduct: true}},
			}},
			Tests: fleet.Tests{Matrix: []string{"windows-11"}}, Rollback: "previous", Releases: s.releases(i),
		}
	}
	for i := range s.Tenants {
		t := s.tenantOf(i)
		t.Packages = make(map[fleet.PackageID][]fleet.Assignment, s.Packages)
		for n := range s.Packages {
			t.Packages[s.pkg(n)] = []fleet.Assignment{{Intent: "required", Group: "all devices", Notify: "showReboot"}}
		}
		t.Policy = fleet.Policy{CriticalWithinHours: 72, Reboot: "windowOnly", MaxFailuresPercent: 4, Approval: "implicit", MaxExceptionDays: 90}
		r.Tenants[t.ID] = t
		name := t.ID.Partner()
		r.Partners[name] = fleet.Partner{
			Name: name, Contacts: []string{"it@" + name + ".example"}, Language: "en",
			Channels: map[string]fleet.Channel{"customers": {Kind: "mail", To: "updates@" + name + ".example", Visibility: "shared"}},
		}
	}
	for name, data := range files {
		if !strings.HasPrefix(name, "cue.mod/") {
			r.Blobs[name] = blobID(data)
		}
	}
	return r
}

func weekValue() fleet.Week {
	return fleet.Week{Zone: "Europe/Helsinki", DST: fleet.DSTRule{Gap: "later", Fold: "first"}, Steps: map[string]fleet.WeekStep{
		"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"}, "dogfood": {On: "Thu", At: "09:00"},
		"pilot": {On: "Fri", At: "09:00"}, "announce": {On: "Mon", At: "08:00"}, "deploy": {On: "Mon", At: "14:00"},
	}}
}

func waveValues() []fleet.Wave {
	hours := func(n int) fleet.Duration { return fleet.Duration(time.Duration(n) * time.Hour) }
	gate := func(looks ...fleet.Duration) fleet.Gate {
		return fleet.Gate{Success: 95, Error: 5, Confidence: 0.9, MinReports: 20, Silent: "excluded", Looks: looks, Inconclusive: "askHuman"}
	}
	share := func(percent float64) fleet.Select { return fleet.Select{Percent: &percent} }
	opens := func(step string) fleet.Opens { return fleet.Opens{Step: step, Zone: "operator"} }
	return []fleet.Wave{
		{Name: "dogfood", Order: 1, Select: fleet.Select{Tenants: map[string]string{"role": "own"}}, MinDevices: 1, Opens: opens("dogfood"), Arm: hours(2), Soak: hours(8), Gate: gate(hours(4), hours(8)), Advance: "merge"},
		{Name: "pilot", Order: 2, Select: share(5), MinDevices: 2, Opens: opens("pilot"), Arm: hours(2), Soak: hours(24), Gate: gate(hours(4), hours(24)), Advance: "merge"},
		{Name: "everyone", Order: 3, Select: share(100), MinDevices: 1, Opens: opens("deploy"), Arm: hours(6), Soak: hours(24), Gate: gate(hours(24)), Advance: "merge"},
	}
}

// blobID is the id git gives a file's content.
func blobID(data []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(data))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}
