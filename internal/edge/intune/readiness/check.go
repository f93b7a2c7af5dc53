package readiness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

const (
	organizationPath = "/v1.0/organization"
	appsPath         = "/beta/deviceAppManagement/mobileApps"
	devicesPath      = "/v1.0/deviceManagement/managedDevices"
	skusPath         = "/v1.0/subscribedSkus"
	enrolmentPath    = "/beta/deviceManagement/deviceEnrollmentConfigurations"

	// skewed is from when on a wrong clock is worth a word, and badly from when on
	// tokens are refused and devices are told wrong instants.
	skewed = 30 * time.Second
	badly  = 5 * time.Minute

	// atOnce is how many requests to one tenant are under way.
	atOnce = 4
)

// An Owner tells from an app's notes whose it is: "package slot" of packmill's,
// "" of anybody else's.
type Owner func(notes string) string

// Check looks at the tenant that api calls. It returns no error: what went wrong
// is a finding, and its kind the tenant's state. Only reads are made.
func Check(ctx context.Context, api *msgraph.Client, owner Owner) fleet.Readiness {
	l := &look{api: api, owner: owner, out: fleet.Readiness{Features: map[string]string{}}}
	l.run(ctx)
	out := l.out
	out.At = api.Clock().Now().UTC()
	v := api.Vitals()
	out.Millis, out.Skew, out.Load = int(v.Fastest.Milliseconds()), int(v.Skew.Seconds()), v.Load
	out.Requests, out.Writes = api.Headroom()
	l.clock(&out, v)
	slices.SortFunc(out.Findings, func(a, b fleet.ReadyFinding) int {
		return cmp.Or(weight(a.Kind)-weight(b.Kind), cmp.Compare(a.What, b.What))
	})
	out.State = state(out.Findings)
	return out
}

// Closed is what is known of a tenant to which there is no connection.
func Closed(err error) fleet.Readiness {
	l := &look{}
	l.failed("connection", err)
	l.out.State = state(l.out.Findings)
	return l.out
}

// A look is one Check under way.
type look struct {
	api   *msgraph.Client
	owner Owner

	mu  sync.Mutex
	out fleet.Readiness
}

func (l *look) run(ctx context.Context) {
	roles, err := l.api.Roles(ctx)
	if err != nil {
		l.failed("sign-in", err)
		return
	}
	l.permissions(roles)
	if err := l.api.Call(ctx, msgraph.Final, http.MethodGet, msgraph.Query(organizationPath, "$select", "id"), nil, nil); err != nil && transport.StatusOf(err) != http.StatusForbidden {
		l.failed("the tenant", l.api.Fail("intune.check", l.api.Directory(), err))
		return
	}
	work := []func(context.Context){l.devices, l.licences, l.appsAndPages, l.approvals}
	for _, f := range features() {
		work = append(work, func(ctx context.Context) { l.feature(ctx, f) })
	}
	free := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, f := range work {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			f(ctx)
		})
	}
	all.Wait()
}

// note adds a finding.
func (l *look) note(kind, next, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.Findings = append(l.out.Findings, fleet.ReadyFinding{Kind: kind, What: fmt.Sprintf(format, args...), Next: next})
}

// set changes what was found so far.
func (l *look) set(f func(out *fleet.Readiness)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.out)
}

// failed is the finding of a part that could not be read. A missing permission
// is told once, with all that are missing.
func (l *look) failed(what string, err error) {
	if err == nil || transport.StatusOf(err) == http.StatusForbidden {
		return
	}
	var e *fleet.Error
	hint := ""
	if errors.As(err, &e) {
		hint, err = e.Hint, e.Err
	}
	kind := "internal"
	if e != nil {
		switch e.Kind {
		case fleet.Refused, fleet.Invalid:
			kind = "refused"
		case fleet.Stalled:
			kind = "stalled"
		}
	}
	l.note(kind, hint, "%s: %v", what, err)
}

// permissions compares what was granted with what is used.
func (l *look) permissions(roles []string) {
	used := map[string]bool{}
	for _, p := range msgraph.Permissions() {
		for _, r := range append([]string{p.Role}, p.Wider...) {
			used[r] = true
		}
		if p.In(roles) {
			continue
		}
		l.set(func(out *fleet.Readiness) {
			out.Lacks = append(out.Lacks, fleet.Lack{Role: p.Role, For: p.For, Needed: p.Always})
		})
		kind := "note"
		if p.Always {
			kind = "refused"
		}
		l.note(kind, "add "+p.Role+" to the app registration and consent again", "permission %s is missing: %s", p.Role, p.For)
	}
	for _, r := range slices.Sorted(slices.Values(roles)) {
		if !used[r] {
			l.set(func(out *fleet.Readiness) { out.Unused = append(out.Unused, r) })
			l.note("note", "remove it from the app registration", "permission %s is granted and not needed", r)
		}
	}
}

// clock tells of clocks that disagree.
func (l *look) clock(out *fleet.Readiness, v msgraph.Vitals) {
	if v.Answers == 0 || v.Skew.Abs() < skewed {
		return
	}
	kind, direction := "note", "behind"
	if v.Skew < 0 {
		direction = "ahead of"
	}
	if v.Skew.Abs() >= badly {
		kind = "stalled"
	}
	out.Findings = append(out.Findings, fleet.ReadyFinding{Kind: kind, What: fmt.Sprintf("this machine's clock is %s %s the service's", v.Skew.Abs(), direction), Next: "set it right: assignments carry instants"})
}

// weight orders the kinds of finding, the worst first.
func weight(kind string) int {
	return slices.Index([]string{"refused", "internal", "stalled", "note"}, kind)
}

// state is what the worst finding makes of a tenant.
func state(findings []fleet.ReadyFinding) string {
	worst := "note"
	if len(findings) > 0 {
		worst = findings[0].Kind
	}
	switch {
	case worst == "internal":
		return fleet.ReadyUnreachable
	case worst == "refused":
		return fleet.ReadyRefused
	case worst == "stalled":
		return fleet.ReadyStalled
	}
	return fleet.ReadyYes
}
