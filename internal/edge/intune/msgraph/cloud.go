package msgraph

import (
	"maps"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"

	"github.com/packmill/packmill/internal/fleet"
)

// A Cloud is one of the separate clouds in which Microsoft runs Entra and Graph
// (Microsoft: "Microsoft Graph national cloud deployments"). A tenant lives in
// exactly one, and a token of one is worth nothing in another.
type Cloud struct {
	Name      string // as tenant.cue spells it
	Authority string // where tokens are asked for, without a slash at the end
	Graph     string // Graph's address, without version
	Audience  string // that a federated token must have there (Microsoft: "Workload identity federation")
}

// GlobalCloud is the cloud of a tenant that states none.
const GlobalCloud = "global"

func clouds() map[string]Cloud {
	authority := func(c cloud.Configuration) string { return strings.TrimSuffix(c.ActiveDirectoryAuthorityHost, "/") }
	out := map[string]Cloud{}
	for _, c := range []Cloud{
		{GlobalCloud, authority(cloud.AzurePublic), DefaultBaseURL, "api://AzureADTokenExchange"},
		{"usGov", authority(cloud.AzureGovernment), "https://graph.microsoft.us", "api://AzureADTokenExchangeUSGov"},
		{"usGovDoD", authority(cloud.AzureGovernment), "https://dod-graph.microsoft.us", "api://AzureADTokenExchangeUSGov"},
		{"china", authority(cloud.AzureChina), "https://microsoftgraph.chinacloudapi.cn", "api://AzureADTokenExchangeChina"},
	} {
		out[c.Name] = c
	}
	return out
}

// CloudNamed is the cloud of that name, the global one for "".
func CloudNamed(name string) (Cloud, error) {
	if name == "" {
		name = GlobalCloud
	}
	c, ok := clouds()[name]
	if !ok {
		return c, fleet.Errorf(fleet.Invalid, "intune.cloud", name, "is no cloud: want one of %s", strings.Join(slices.Sorted(maps.Keys(clouds())), ", "))
	}
	return c, nil
}

// Scope asks for whatever the tenant granted the application, in this cloud.
func (c Cloud) Scope() string { return c.Graph + "/.default" }

// Consent is the page on which an administrator of a tenant lets an application
// in, with the permissions it asks for (Microsoft: "Admin consent on the
// Microsoft identity platform").
func (c Cloud) Consent(directory, clientID string) string {
	return c.Authority + "/" + directory + "/adminconsent?client_id=" + clientID
}
