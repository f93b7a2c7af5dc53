package updates

import (
	"net/url"
	"sync"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
)

// HoldDelay is how long a pause or a suspended approval may take to reach
// devices (Microsoft: "Windows quality updates", Windows Autopatch, pause and
// resume): what was offered until then is installed.
const HoldDelay = 8 * time.Hour

// A Client works on one tenant's updates. It is safe for concurrent use.
type Client struct {
	api *msgraph.Client

	mu       sync.Mutex
	believed map[kind]bool       // what a list of the kind lacks is not there
	made     map[string]*profile // by this client, by id; lists may not show them yet
}

// New makes a client of the tenant that api calls.
func New(api *msgraph.Client) *Client {
	return &Client{api: api, believed: map[kind]bool{}, made: map[string]*profile{}}
}

const (
	beta = "/beta"
	v1   = "/v1.0"

	managementPath = beta + "/deviceManagement"
	updatesPath    = beta + "/admin/windows/updates"
	namespace      = "microsoft.graph.windowsUpdates."
)

// A kind is one of Intune's kinds of update profile, by its collection.
type kind string

// The kinds. Update rings are none of them: a ring is a device configuration, which
// packages of kind configuration bring (package policy).
const (
	expediteKind kind = managementPath + "/windowsQualityUpdateProfiles"
	qualityKind  kind = managementPath + "/windowsQualityUpdatePolicies"
	featureKind  kind = managementPath + "/windowsFeatureUpdateProfiles"
	driverKind   kind = managementPath + "/windowsDriverUpdateProfiles"
)

// noun is what errors call one of the kind.
func (k kind) noun() string {
	return map[kind]string{
		expediteKind: "expedite profile", qualityKind: "quality update policy", featureKind: "feature update profile",
		driverKind: "driver update profile",
	}[k]
}

func profilePath(k kind, id string) string { return string(k) + "/" + url.PathEscape(id) }

func assignPath(k kind, id string) string { return profilePath(k, id) + "/assign" }

func assignmentsPath(k kind, id string) string { return profilePath(k, id) + "/assignments" }

func approvePath(id string) string { return profilePath(qualityKind, id) + "/bulkAction" }

func driverActionPath(id string) string { return profilePath(driverKind, id) + "/executeAction" }

func driverSyncPath(id string) string { return profilePath(driverKind, id) + "/syncInventory" }

func driverListPath(id string) string { return profilePath(driverKind, id) + "/driverInventories" }

const (
	itemsPath       = managementPath + "/windowsUpdateCatalogItems"
	entriesPath     = updatesPath + "/catalog/entries"
	productsPath    = updatesPath + "/products"
	audiencesPath   = updatesPath + "/deploymentAudiences"
	deploymentsPath = updatesPath + "/deployments"
	enrolPath       = updatesPath + "/updatableAssets/" + namespace + "enrollAssets"
)

func knownIssuesPath(product string) string {
	return productsPath + "/" + url.PathEscape(product) + "/knownIssues"
}

func audiencePath(id string) string { return audiencesPath + "/" + url.PathEscape(id) }

func updateAudiencePath(id string) string {
	return audiencePath(id) + "/" + namespace + "updateAudience"
}

func deploymentPath(id string) string { return deploymentsPath + "/" + url.PathEscape(id) }
