package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/packmill/packmill/internal/edge/intune"
	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/edge/intune/policy"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// wireTenants connects tenants through Microsoft Graph. One process serves
// many tenants, each by a client of its own whose token must be that tenant's.
func (a *app) wireTenants(f *factory.Factory) error {
	client := transport.New(transport.Options{Clock: f.Clock, AllowLoopback: true})
	var mu sync.Mutex
	known := map[string]tenantConsole{}
	f.Consoles = func(_ context.Context, t fleet.Tenant) (factory.Console, error) {
		if t.Intune == nil {
			return nil, &fleet.Error{Op: "cli.tenant", Object: string(t.ID), Kind: fleet.Refused, Err: errors.New("the tenant has no connection"),
				Hint: "state intune: directory in " + t.ID.Dir() + "/tenant.cue"}
		}
		mu.Lock()
		defer mu.Unlock()
		if c, ok := known[t.Intune.Directory]; ok {
			return c, nil
		}
		token, err := a.graphToken(t.Intune.Directory)
		if err != nil {
			return nil, err
		}
		api, err := msgraph.New(msgraph.Options{
			BaseURL: a.getenv("PACKMILL_GRAPH"), Directory: t.Intune.Directory, Token: token, Transport: client, Clock: f.Clock, Log: f.Log,
		})
		if err != nil {
			return nil, err
		}
		c := tenantConsole{intune.New(api, intune.Options{}), nil}
		c.configurations = &policy.Console{Client: c.Client, Policies: policy.New(api, c.Client)}
		known[t.Intune.Directory] = c
		return c, nil
	}
	f.HashKey = a.hashKey
	return nil
}

// A tenantConsole is a tenant's apps, and beside them its configurations.
type tenantConsole struct {
	*intune.Client
	configurations *policy.Console
}

// Configurations is the console for packages of configurations.
func (c tenantConsole) Configurations() factory.Console { return c.configurations }

// graphToken is who asks Graph in a tenant: a client secret at any token
// endpoint, a client secret at Microsoft's, or the identity of a GitHub
// Actions job.
func (a *app) graphToken(directory string) (msgraph.TokenSource, error) {
	client, secret := a.getenv("AZURE_CLIENT_ID"), a.getenv("AZURE_CLIENT_SECRET")
	switch endpoint := a.getenv("PACKMILL_TOKEN_ENDPOINT"); {
	case client == "":
		return nil, &fleet.Error{Op: "cli.tenant", Object: directory, Kind: fleet.Invalid, Err: errors.New("no credentials for Microsoft Graph"),
			Hint: "set AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or run as a GitHub Actions job with id-token: write"}
	case endpoint != "":
		return &msgraph.ClientCredentials{Endpoint: strings.ReplaceAll(endpoint, "{tenant}", directory), ClientID: client, Secret: secret}, nil
	case secret != "":
		return msgraph.Secret(directory, client, secret)
	default:
		return msgraph.Assertion(directory, client, a.actionsToken)
	}
}

// hashKey is the key that a tenant's device ids are hashed with in evidence:
// a file of its own, made when it is first needed, so that removing it makes
// the tenant's rows nobody's.
func (a *app) hashKey(t fleet.TenantID) ([]byte, error) {
	dir := a.getenv("PACKMILL_TENANT_KEYS")
	if dir == "" {
		return nil, &fleet.Error{Op: "cli.hashKey", Object: string(t), Kind: fleet.Invalid, Err: errors.New("no folder for the tenants' keys"),
			Hint: "set PACKMILL_TENANT_KEYS to a folder that is kept and backed up, outside the repository"}
	}
	path := filepath.Join(dir, t.Slug()+".key")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if a.getenv("CI") != "" {
			// A key that dies with the runner would name every device anew in
			// the next run, and every wave would look silent.
			return nil, &fleet.Error{Op: "cli.hashKey", Object: string(t), Kind: fleet.Stalled, Err: fmt.Errorf("%s has no key of this tenant", dir),
				Hint: "run `packmill run` once outside of CI with the same PACKMILL_TENANT_KEYS, and keep that folder for the jobs"}
		}
		return newHashKey(path)
	}
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(key) != hashKeySize {
		return nil, fleet.Errorf(fleet.Invalid, "cli.hashKey", path, "is no key: want %d hex digits", 2*hashKeySize)
	}
	return key, nil
}
