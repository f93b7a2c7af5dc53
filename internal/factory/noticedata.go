package factory

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/rules/calendar"
	"github.com/packmill/packmill/internal/view/notice"
)

// announcementOf gathers what a partner's announcement can say. A shared
// channel is read by people outside the partner: there, tenants appear by their
// zone and time alone, so that no customer learns who the others are.
func announcementOf(repo *fleet.Repository, id fleet.CycleID, p fleet.Partner, lang string, shared bool, rows []fleet.PlanRow) (notice.Announcement, error) {
	a := notice.Announcement{Cycle: string(id), Partner: p.Name, Language: lang, From: p.Name, Contacts: p.Contacts, Signature: p.Name}
	if p.Brand != nil {
		a.From = cmp.Or(p.Brand.From, a.From)
		a.Signature = cmp.Or(p.Brand.Signature, a.Signature)
	}
	byTenant := map[fleet.TenantID][]fleet.PlanRow{}
	byPackage := map[fleet.PackageID][]fleet.PlanRow{}
	for _, row := range rows {
		byTenant[row.Tenant] = append(byTenant[row.Tenant], row)
		byPackage[row.Package] = append(byPackage[row.Package], row)
	}
	var first time.Time
	for _, tenant := range slices.Sorted(maps.Keys(byTenant)) {
		line, opens, err := tenantLine(repo, tenant, lang, byTenant[tenant])
		if err != nil {
			return a, err
		}
		a.Devices += line.Devices
		if shared {
			line.Name, line.Devices = line.Zone, 0
		}
		if !slices.Contains(a.Tenants, line) {
			a.Tenants = append(a.Tenants, line)
		}
		if first.IsZero() || opens.Before(first) {
			first, a.Day = opens, line.Day
		}
	}
	if shared {
		a.Devices = 0
	}
	for _, pkg := range slices.Sorted(maps.Keys(byPackage)) {
		line := packageLine(repo, pkg, byPackage[pkg])
		if !shared && len(byPackage[pkg]) < len(byTenant) {
			for _, row := range byPackage[pkg] {
				line.Tenants = append(line.Tenants, repo.Tenants[row.Tenant].Name)
			}
		}
		a.Packages = append(a.Packages, line)
		noticed(&a, repo.Packages[pkg])
	}
	return a, nil
}

// tenantLine is when a tenant's devices change, on the tenant's own clocks:
// from the earliest start of its rows to their latest deadline.
func tenantLine(repo *fleet.Repository, id fleet.TenantID, lang string, rows []fleet.PlanRow) (line notice.Tenant, opens time.Time, err error) {
	t := repo.Tenants[id]
	loc, err := calendar.Zone(t.Zone)
	if err != nil {
		return line, opens, err
	}
	var due time.Time
	for _, row := range rows {
		from, until := row.NotBefore, row.Deadline
		if row.LocalTime {
			from, until = inZone(loc, from, repo.Week.DST), inZone(loc, until, repo.Week.DST)
		}
		if opens.IsZero() || from.Before(opens) {
			opens = from
		}
		if until.After(due) {
			due = until
		}
		line.Devices = max(line.Devices, row.Devices)
	}
	line.Name, line.Zone = t.Name, t.Zone
	line.Day, line.Clock = notice.Day(opens.In(loc), lang), notice.Clock(opens.In(loc))
	line.DeadlineDay, line.DeadlineClock = notice.Day(due.In(loc), lang), notice.Clock(due.In(loc))
	return line, opens, nil
}

// inZone is the instant of a reading that is carried as if it were UTC. A
// reading that clocks skip is told as the end of the gap, whatever the week's
// rule does with it.
func inZone(loc *time.Location, reading time.Time, rule fleet.DSTRule) time.Time {
	rule.Gap = "later"
	at, ok := calendar.Instant(loc, calendar.DateOf(reading.UTC()), notice.Clock(reading.UTC()), rule)
	if !ok {
		return reading
	}
	return at
}

// packageLine is one update, as all rows of a package together tell it.
func packageLine(repo *fleet.Repository, id fleet.PackageID, rows []fleet.PlanRow) notice.Package {
	pkg := repo.Packages[id]
	line := notice.Package{Name: cmp.Or(pkg.Name, string(id)), To: rows[0].To, New: true}
	line.Security = pkg.Releases[line.To].Change == "security"
	var before []string
	for _, row := range rows {
		if row.From != "" && !slices.Contains(before, row.From) {
			before = append(before, row.From)
		}
	}
	slices.Sort(before)
	for i, v := range before {
		line.New = false
		if i > 0 {
			line.From += ", "
		}
		line.From += v
	}
	return line
}

// noticed sorts a package by what its users notice: a program that is closed,
// a restart, or nothing.
func noticed(a *notice.Announcement, pkg fleet.Package) {
	closes, restarts := false, false
	for _, in := range pkg.Installers {
		closes = closes || in.InUse == "close"
		restarts = restarts || in.Restart == "byExitCode"
	}
	name := cmp.Or(pkg.Name, string(pkg.ID))
	if closes {
		a.Closes = append(a.Closes, name)
	}
	if restarts {
		a.Restarts = append(a.Restarts, name)
	}
	if !closes && !restarts {
		a.Quiet = append(a.Quiet, name)
	}
}
