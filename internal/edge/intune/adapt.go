package intune

import (
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Adapt has the client do without what its tenant was found to lack: features of
// the service reach tenants one after the other, and one that has not arrived
// refuses the whole request that mentions it. Where changes need a second person,
// they say why from the first try on.
func (c *Client) Adapt(r fleet.Readiness) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.single = r.Features[fleet.FeatureArchitectures] == fleet.FeatureNo
	if slices.ContainsFunc(r.Approvals, func(kind string) bool { return kind == "app" || kind == "script" }) {
		c.api.Guard()
	}
}

// adapted are an app's properties as the tenant can take them. Without a list of
// several architectures there is the older property, in which x86 and x64 can be
// joined, and arm64 stands alone.
func (c *Client) adapted(body appBody) appBody {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := body.(*win32LobApp)
	if !ok || !c.single || p.AllowedArchitectures == "" {
		return body
	}
	list := strings.Split(p.AllowedArchitectures, ",")
	if len(list) > 1 {
		list = slices.DeleteFunc(list, func(a string) bool { return a == "arm64" })
	}
	p.ApplicableArchitectures, p.AllowedArchitectures = strings.Join(list, ","), ""
	return p
}

// Owner tells from an app's notes which slot of packmill's it is, "package slot";
// "" of anybody else's app.
func Owner(notes string) string {
	m, ok := ParseMarker(notes)
	if !ok {
		return ""
	}
	return string(m.Package) + " " + m.Slot
}
