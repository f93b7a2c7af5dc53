package factory_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
	"github.com/packmill/packmill/internal/rules/rollout"
)

// An outbox keeps what it is given, and may fail or die on the way.
type outbox struct {
	taken []fleet.Message
	fails error
	dies  func() // called after the message was taken
}

func (o *outbox) Deliver(_ context.Context, m fleet.Message) error {
	if o.fails != nil {
		return o.fails
	}
	o.taken = append(o.taken, m)
	if o.dies != nil {
		o.dies()
	}
	return nil
}

// An officeWorld is a real repository with a ledger, three partners and a
// cycle that reaches five tenants.
type officeWorld struct {
	*factory.Factory
	facts rollout.Facts
	mail  *outbox
}

const cycle47 = fleet.CycleID("2026-W47")

func utc(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }

func newOffice(t *testing.T) *officeWorld {
	t.Helper()
	git, err := gitrepo.Init(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	author := fleet.Identity{Name: "packmill", Email: "packmill@mill.example"}
	commit, err := git.Commit(t.Context(), gitrepo.CommitSpec{Message: "Texts\n", Author: author, When: utc(18, 6), Files: map[string][]byte{
		"tenants/alpine/texts/announcement.de.tmpl": []byte("Subject: {{.Partner}} {{.Day}}\n\n{{range .Tenants}}{{.Name}} {{.Clock}}, {{end}}{{range .Packages}}{{.Name}} {{.From}}>{{.To}} {{join .Tenants \"+\"}};{{end}}\n"),
		"tenants/broken/texts/announcement.en.tmpl": []byte("Subject: x\n\n{{.Nothing}}\n"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := git.SetBranch("main", "", commit); err != nil {
		t.Fatal(err)
	}
	key := signer(t)
	verifier, err := signing.NewVerifier(fleet.Trust{Keys: map[string]fleet.TrustedKey{"mill": {PEM: key.PublicPEM(), Uses: []string{"evidence"}, From: "2026-01-01"}}}, "evidence")
	if err != nil {
		t.Fatal(err)
	}
	clock := fleet.NewManualClock(utc(23, 6))
	mail := &outbox{}
	w := &officeWorld{mail: mail, Factory: &factory.Factory{
		Clock: clock, Author: author, Git: git, Ledger: evidence.Open(git, key, verifier, clock, author), Outbox: map[string]factory.Channel{"mail": mail},
	}}
	w.facts = rollout.Facts{Repo: officeRepo(commit), Plans: map[fleet.CycleID]map[string]fleet.Plan{cycle47: {"everyone": {Rows: officeRows()}}}}
	w.read(t)
	return w
}

// read brings the facts' record up to date, as the next run would.
func (w *officeWorld) read(t *testing.T) {
	t.Helper()
	rec, err := w.Ledger.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.facts.Record = rec
}

func officeRepo(commit string) *fleet.Repository {
	channel := func(to, visibility string) map[string]fleet.Channel {
		return map[string]fleet.Channel{"customers": {Kind: "mail", To: to, Visibility: visibility}}
	}
	tenant := func(name, zone string) fleet.Tenant { return fleet.Tenant{Name: name, Zone: zone} }
	return &fleet.Repository{
		Commit: commit,
		Week: fleet.Week{Zone: "Europe/Helsinki", Steps: map[string]fleet.WeekStep{"detect": {On: "Wed", At: "06:00"}, "cutOff": {On: "Wed", At: "16:00"},
			"dogfood": {On: "Thu", At: "09:00"}, "announce": {On: "Mon", At: "08:00"}, "deploy": {On: "Mon", At: "14:00"}}},
		Waves: []fleet.Wave{{Name: "dogfood", Order: 1, Opens: fleet.Opens{Step: "dogfood"}}, {Name: "everyone", Order: 2, Opens: fleet.Opens{Step: "deploy"}}},
		Cycles: map[fleet.CycleID]fleet.Cycle{cycle47: {CutOff: utc(18, 14), Waves: []string{"dogfood", "everyone"}, Entries: map[fleet.PackageID]fleet.Entry{
			"acme/zip": {Release: "2.0"}, "acme/web": {Release: "9.1"}, "acme/bad": {Release: "6.6"}}}},
		Packages: map[fleet.PackageID]fleet.Package{
			"acme/zip": {ID: "acme/zip", Name: "Zip", Installers: map[string]fleet.Installer{"x64": {InUse: "wait", Restart: "never"}}, Releases: map[string]fleet.Release{"2.0": {Change: "security"}}},
			"acme/web": {ID: "acme/web", Name: "Web", Installers: map[string]fleet.Installer{"x64": {InUse: "close", Restart: "byExitCode"}}},
			"acme/bad": {ID: "acme/bad", Name: "Bad"},
		},
		Partners: map[string]fleet.Partner{
			"alpine":   {Name: "Alpine", Language: "de-CH", Texts: "texts", Channels: channel("updates@alpine.example", "private")},
			"atlantic": {Name: "Atlantic", Language: "en", Contacts: []string{"desk@atlantic.example"}, Channels: channel("all@atlantic.example", "shared"), Brand: &fleet.Brand{From: "Atlantic news", Signature: "Your Atlantic team"}},
			"silent":   {Name: "Silent", Language: "en"},
		},
		Tenants: map[fleet.TenantID]fleet.Tenant{
			"alpine/edel": tenant("Edel", "Europe/Zurich"), "alpine/isar": tenant("Isar", "Europe/Berlin"),
			"atlantic/quay": tenant("Quay", "Europe/Dublin"), "atlantic/clifton": tenant("Clifton", "Europe/Dublin"),
			"silent/one": tenant("One", "UTC"), "direct/museum": tenant("Museum", "UTC"),
		},
	}
}

func officeRows() []fleet.PlanRow {
	row := func(t fleet.TenantID, p fleet.PackageID, from, to string) fleet.PlanRow {
		return fleet.PlanRow{Tenant: t, Package: p, From: from, To: to, Wave: "everyone", Devices: 40, NotBefore: utc(23, 12), Deadline: utc(26, 12)}
	}
	local := row("alpine/isar", "acme/zip", "1.9", "2.0")
	local.LocalTime, local.NotBefore, local.Deadline = true, utc(23, 14), utc(26, 14) // 14:00 on its own clocks
	return []fleet.PlanRow{
		row("alpine/edel", "acme/zip", "1.9", "2.0"), row("alpine/edel", "acme/web", "9.0", "9.1"), local,
		row("atlantic/quay", "acme/web", "9.0", "9.1"), row("atlantic/quay", "acme/bad", "", "6.6"), row("atlantic/clifton", "acme/web", "", "9.1"),
		row("silent/one", "acme/zip", "", "2.0"), row("direct/museum", "acme/zip", "", "2.0"),
	}
}

func (w *officeWorld) announce(t *testing.T) (int, error) {
	t.Helper()
	w.read(t)
	return w.Announce(t.Context(), w.facts, cycle47)
}

func TestAnnounce(t *testing.T) {
	w := newOffice(t)
	n, err := w.announce(t)
	if err != nil || n != 2 || len(w.mail.taken) != 2 {
		t.Fatalf("%d messages, %v: %+v", n, err, w.mail.taken)
	}
	german, english := w.mail.taken[0], w.mail.taken[1]
	if german.Subject != "Alpine Montag, 23.11.2026" || german.Lang != "de" || german.From != "Alpine" || !slices.Equal(german.To, []string{"updates@alpine.example"}) ||
		german.Text != "Edel 13:00, Isar 14:00, Web 9.0>9.1 Edel;Zip 1.9>2.0 ;\n" {
		t.Errorf("the partner's own text gives %+v", german)
	}
	if english.From != "Atlantic news" || english.Lang != "en" || !strings.Contains(english.Text, "- Europe/Dublin: Monday 23 November 2026, from 12:00 local time; done by Thursday 26 November 2026, 12:00\n") {
		t.Errorf("the shipped text gives %+v", english)
	}
	for _, want := range []string{"Bad 6.6 (new)", "Web 9.0 → 9.1", "closed for the update; please save your work before: Web.", "restart: Web.", "Nothing to do for: Bad.", "desk@atlantic.example", "Your Atlantic team"} {
		if !strings.Contains(english.Text, want) {
			t.Errorf("%q is not said in:\n%s", want, english.Text)
		}
	}
	for _, secret := range []string{"Quay", "Clifton", "80", "40 devices"} {
		if strings.Contains(english.Text+english.HTML, secret) {
			t.Errorf("%q is told to people outside the partner:\n%s", secret, english.Text)
		}
	}
	if german.ID == english.ID || !strings.HasSuffix(german.ID, "@mill.example") {
		t.Errorf("message ids %s, %s", german.ID, english.ID)
	}
	// Said once: neither this run nor another clone's says it again.
	if n, err := w.announce(t); err != nil || n != 0 || len(w.mail.taken) != 2 {
		t.Errorf("said again: %d, %v", n, err)
	}
	w.read(t)
	var told []string
	for _, x := range w.facts.Record.Notices {
		if x.PossiblyTwice || x.Template != "announcement" || x.Cycle != cycle47 || x.MessageID != x.Key+"@mill.example" {
			t.Errorf("notice %+v", x)
		}
		told = append(told, x.Partner+map[bool]string{false: " intent", true: " receipt"}[x.Sent])
	}
	if want := []string{"alpine intent", "alpine receipt", "atlantic intent", "atlantic receipt"}; !slices.Equal(told, want) {
		t.Errorf("evidence %q, want %q", told, want)
	}
}

// TestAnnounceAfterCrash dies between the sending and its receipt.
func TestAnnounceAfterCrash(t *testing.T) {
	w := newOffice(t)
	ctx, die := context.WithCancel(t.Context())
	w.mail.dies = die
	if n, err := w.Announce(ctx, w.facts, cycle47); !errors.Is(err, context.Canceled) {
		t.Fatalf("%d, %v", n, err)
	}
	w.mail.dies = nil
	w.Author.Email = "other@elsewhere.example" // the id is the recorded one all the same
	if n, err := w.announce(t); err != nil || n != 2 || len(w.mail.taken) != 3 {
		t.Fatalf("%d, %v", n, err)
	}
	if !reflect.DeepEqual(w.mail.taken[0], w.mail.taken[1]) {
		t.Errorf("the second sending differs:\n%+v\n%+v", w.mail.taken[0], w.mail.taken[1])
	}
	w.read(t)
	twice := slices.DeleteFunc(slices.Clone(w.facts.Record.Notices), func(n fleet.Notice) bool { return !n.PossiblyTwice })
	if len(twice) != 1 || !twice[0].Sent || twice[0].Partner != "alpine" {
		t.Errorf("marked possibly twice: %+v", twice)
	}
	if n, err := w.announce(t); err != nil || n != 0 {
		t.Errorf("said a third time: %d, %v", n, err)
	}
}

// TestAnnounceFails keeps going for the others, and goes on the next time.
func TestAnnounceFails(t *testing.T) {
	w := newOffice(t)
	partners := w.facts.Repo.Partners
	partners["silent"] = fleet.Partner{Name: "Silent", Language: "en", Channels: map[string]fleet.Channel{"chat": {Kind: "teams", To: "HOOK"}}}
	w.mail.fails = &fleet.Error{Op: "notify.smtp", Kind: fleet.Waiting, Err: errors.New("try again later"), Hint: "wait"}
	n, err := w.announce(t)
	if n != 0 || err == nil || strings.Count(err.Error(), "try again later") != 2 || !strings.Contains(err.Error(), "no outbox for teams") {
		t.Fatalf("%d, %v", n, err)
	}
	var e *fleet.Error
	if !errors.As(err, &e) || e.Kind != fleet.Waiting || e.Hint != "wait" || e.Object != "tenants/alpine/partner.cue: channel customers" {
		t.Errorf("error %+v", e)
	}
	w.mail.fails = nil
	delete(partners, "silent")
	if n, err := w.announce(t); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
}

// TestAnnounceLeavesOut says nothing of what will not come, nor to whom
// nothing comes.
func TestAnnounceLeavesOut(t *testing.T) {
	w := newOffice(t)
	w.facts.Repo.Holds = map[string]fleet.Hold{"h": {Kind: "revocation", Package: "acme/web", Release: "9.1"}, "g": {Kind: "hold", Package: "acme/bad", Release: "6.6"}}
	n, err := w.announce(t)
	if err != nil || n != 1 || !strings.HasPrefix(w.mail.taken[0].Subject, "Alpine") || strings.Contains(w.mail.taken[0].Text, "Web") {
		t.Errorf("%d, %v: %+v", n, err, w.mail.taken)
	}
	if _, err := w.Announce(t.Context(), w.facts, "2026-W01"); fleet.KindOf(err) != fleet.Invalid || err == nil {
		t.Errorf("no such cycle: %v", err)
	}
}

// TestAnnounceBrokenText names the file, before anything is written.
func TestAnnounceBrokenText(t *testing.T) {
	w := newOffice(t)
	repo := w.facts.Repo
	repo.Partners = map[string]fleet.Partner{"broken": {Name: "Broken", Language: "en", Texts: "texts", Channels: map[string]fleet.Channel{"c": {Kind: "mail", To: "a@b.example"}}}}
	repo.Tenants["broken/one"] = fleet.Tenant{Name: "One", Zone: "UTC"}
	w.facts.Plans[cycle47]["everyone"] = fleet.Plan{Rows: []fleet.PlanRow{{Tenant: "broken/one", Package: "acme/zip", To: "2.0"}}}
	n, err := w.announce(t)
	if n != 0 || fleet.KindOf(err) != fleet.Invalid || !strings.Contains(err.Error(), "tenants/broken/texts/announcement.en.tmpl") {
		t.Errorf("%d, %v", n, err)
	}
	w.read(t)
	if len(w.facts.Record.Notices) != 0 {
		t.Errorf("an intent was written: %+v", w.facts.Record.Notices)
	}
}
