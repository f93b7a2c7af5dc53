package cli

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/edge/intune/readiness"
	"github.com/packmill/packmill/internal/edge/intune/updates"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// A tenantConsole is all that works in a tenant, over one connection.
type tenantConsole struct {
	*intuneApps
	*windowsUpdates
	configurations *policy.Console
}

// Configurations is the console for packages of configurations.
func (c tenantConsole) Configurations() factory.Console { return c.configurations }

type (
	intuneApps     = intune.Client
	windowsUpdates = updates.Client
)

// What the factory asks of a console beside the console itself.
var (
	_ factory.Updater      = tenantConsole{}
	_ factory.PatchCatalog = tenantConsole{}
	_ factory.Configurer   = tenantConsole{}
	_ factory.ObjectReader = tenantConsole{}
	_ factory.UpdateLister = tenantConsole{}
	_ factory.Reverser     = tenantConsole{}

	_ factory.AuditReader      = tenantConsole{}
	_ factory.UpdateMarkReader = tenantConsole{}
	_ factory.MarkReader       = &policy.Console{}
)

// wireTenants connects tenants through Microsoft Graph. One process serves
// many tenants, each by a client of its own whose token must be that tenant's.
func (a *app) wireTenants(f *factory.Factory) error {
	connect := a.connections(f.Clock, f.Log)
	uploads := semaphore.NewWeighted(uploadMemory)
	var mu sync.Mutex
	known := map[string]tenantConsole{}
	f.Consoles = func(_ context.Context, t fleet.Tenant) (factory.Console, error) {
		api, err := connect(t)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		c, ok := known[t.Intune.Directory]
		if !ok {
			apps := intune.New(api, intune.Options{Uploads: uploads})
			c = tenantConsole{apps, updates.New(api), &policy.Console{Client: apps, Policies: policy.New(api, apps)}}
			known[t.Intune.Directory] = c
		}
		return c, nil
	}
	f.Look = func(ctx context.Context, t fleet.Tenant) fleet.Readiness {
		api, err := connect(t)
		if err != nil {
			return readiness.Closed(err)
		}
		return readiness.Check(ctx, api, intune.Owner)
	}
	f.HashKey = a.hashKey
	return nil
}

// connections gives each tenant one connection, made when it is first asked for
// and the same afterwards: what a tenant is asked is paced in it.
func (a *app) connections(clock fleet.Clock, log *slog.Logger) func(fleet.Tenant) (*msgraph.Client, error) {
	client := transport.New(transport.Options{Clock: clock, AllowLoopback: true, PerHost: parallelTenants})
	var mu sync.Mutex
	known := map[string]*msgraph.Client{}
	return func(t fleet.Tenant) (*msgraph.Client, error) {
		if t.Intune == nil {
			return nil, &fleet.Error{Op: "cli.tenant", Object: string(t.ID), Kind: fleet.Refused, Err: errors.New("the tenant has no connection"),
				Hint: "state intune: directory in " + t.ID.Dir() + "/tenant.cue"}
		}
		mu.Lock()
		defer mu.Unlock()
		if c, ok := known[t.Intune.Directory]; ok {
			return c, nil
		}
		cloud, err := msgraph.CloudNamed(t.Intune.Cloud)
		if err != nil {
			return nil, err
		}
		token, err := a.graphToken(msgraph.SignIn{Directory: t.Intune.Directory, ClientID: a.inCloud("AZURE_CLIENT_ID", cloud), Cloud: cloud, HTTP: client.HTTP()}, clock)
		if err != nil {
			return nil, err
		}
		c, err := msgraph.New(msgraph.Options{
			BaseURL: cmp.Or(a.getenv("PACKMILL_GRAPH"), cloud.Graph), Directory: t.Intune.Directory, Token: token, Transport: client, Clock: ownClock(clock), Log: log,
		})
		if err == nil {
			known[t.Intune.Directory] = c
		}
		return c, err
	}
}

// ownClock is a tenant's own clock where one is held still: waiting moves it, and
// waits of many tenants, which lie beside each other in a run by the machine's
// clock, would add up to an age of the whole run.
func ownClock(clock fleet.Clock) fleet.Clock {
	if _, manual := clock.(*fleet.ManualClock); manual {
		return fleet.NewManualClock(clock.Now())
	}
	return clock
}

// graphToken is who asks Graph in a tenant: a client secret at any token
// endpoint; at Microsoft's a client secret, a certificate, or the identity of a
// GitHub Actions job.
func (a *app) graphToken(in msgraph.SignIn, clock fleet.Clock) (msgraph.TokenSource, error) {
	secret, file := a.inCloud("AZURE_CLIENT_SECRET", in.Cloud), a.inCloud("AZURE_CLIENT_CERTIFICATE_PATH", in.Cloud)
	switch endpoint := a.getenv("PACKMILL_TOKEN_ENDPOINT"); {
	case in.ClientID == "":
		return nil, &fleet.Error{Op: "cli.tenant", Object: in.Directory, Kind: fleet.Invalid, Err: errors.New("no credentials for Microsoft Graph"),
			Hint: "set AZURE_CLIENT_ID, and AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH, or run as a GitHub Actions job with id-token: write"}
	case endpoint != "":
		return &msgraph.ClientCredentials{Endpoint: strings.ReplaceAll(endpoint, "{tenant}", in.Directory), SignIn: in, ClientID: in.ClientID, Secret: secret}, nil
	case secret != "" && file != "":
		return nil, &fleet.Error{Op: "cli.tenant", Object: in.Directory, Kind: fleet.Invalid, Err: errors.New("both a client secret and a certificate are set"),
			Hint: "unset AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH"}
	case secret != "":
		return msgraph.Secret(in, secret)
	case file != "":
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, &fleet.Error{Op: "cli.tenant", Object: "AZURE_CLIENT_CERTIFICATE_PATH", Kind: fleet.Invalid, Err: err, Hint: "name a file that holds certificate and private key"}
		}
		return msgraph.Certificate(in, data, []byte(a.inCloud("AZURE_CLIENT_CERTIFICATE_PASSWORD", in.Cloud)), clock.Now())
	default:
		return msgraph.Assertion(in, func(ctx context.Context) (string, error) { return a.actionsToken(ctx, in.Cloud.Audience) })
	}
}

// inCloud is a setting as it is for one cloud, AZURE_CLIENT_ID_USGOV for example:
// an application exists in one of them alone. Without one for the cloud the
// setting without a cloud's name holds.
func (a *app) inCloud(name string, cloud msgraph.Cloud) string {
	return cmp.Or(a.getenv(name+"_"+strings.ToUpper(cloud.Name)), a.getenv(name))
}
