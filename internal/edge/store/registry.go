package store

import (
	"context"
	"net"
	"net/http"
	"strings"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/packmill/packmill/internal/fleet"
)

// A Login gives the user name and password for a registry ("host:port"), empty
// ones when there are none.
type Login func(ctx context.Context, registry string) (user, password string, err error)

// OpenRegistry opens the repository of an OCI registry, "host[:port]/repository".
// Requests go through client; plain HTTP is spoken to loopback alone.
func OpenRegistry(reference string, client *http.Client, login Login) (*Store, error) {
	repo, err := remote.NewRepository(reference)
	if err != nil || repo.Reference.Reference != "" {
		return nil, fleet.Errorf(fleet.Invalid, "store.open", reference, "is no repository of a registry, such as registry.example.com/packmill")
	}
	repo.PlainHTTP = loopback(repo.Reference.Host())
	repo.MaxMetadataBytes = maxManifest
	repo.ReferrerListMaxPages = 100
	authorized := &auth.Client{Client: client, Cache: auth.NewCache()}
	authorized.SetUserAgent("packmill")
	if login != nil {
		authorized.Credential = func(ctx context.Context, registry string) (auth.Credential, error) {
			user, password, err := login(ctx, registry)
			return auth.Credential{Username: user, Password: password}, err
		}
	}
	repo.Client = authorized
	return &Store{backend: repo, where: reference}, nil
}

// loopback reports whether a host, with or without port, is this machine.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
