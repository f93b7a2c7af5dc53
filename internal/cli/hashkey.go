package cli

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// hashKeySize is the size of a tenant's key in bytes.
const hashKeySize = 32

// hashKey is the key that a tenant's device ids are hashed with in evidence:
// a file of its own, made when it is first needed, so that removing it makes
// the tenant's rows nobody's.
func (a *app) hashKey(t fleet.TenantID) ([]byte, error) {
	dir, err := a.tenantKeys()
	if err != nil {
		return nil, err
	}
	path := hashKeyPath(dir, t)
	key, err := readHashKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if a.getenv("CI") != "" {
		// A key that dies with the runner would name every device anew in
		// the next run, and every wave would look silent.
		return nil, &fleet.Error{Op: "cli.hashKey", Object: string(t), Kind: fleet.Stalled, Err: fmt.Errorf("%s has no key of this tenant", dir),
			Hint: "run `packmill keys tenants` outside of CI with the folder that the jobs get, and hand it to them again"}
	}
	return newHashKey(path)
}

// tenantKeys is the folder of all tenants' keys.
func (a *app) tenantKeys() (string, error) {
	dir := a.getenv("PACKMILL_TENANT_KEYS")
	if dir == "" {
		return "", &fleet.Error{Op: "cli.hashKey", Object: "PACKMILL_TENANT_KEYS", Kind: fleet.Invalid, Err: errors.New("no folder for the tenants' keys"),
			Hint: "set PACKMILL_TENANT_KEYS to a folder that is kept and backed up, outside the repository"}
	}
	return dir, nil
}

func hashKeyPath(dir string, t fleet.TenantID) string {
	return filepath.Join(dir, t.Slug()+".key")
}

// readHashKey reads a key; fs.ErrNotExist where there is none.
func readHashKey(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(key) != hashKeySize {
		return nil, fleet.Errorf(fleet.Invalid, "cli.hashKey", path, "is no key: want %d hex digits", 2*hashKeySize)
	}
	return key, nil
}

// newHashKey makes a key and keeps it. Of two processes that do so at once one
// wins, and the other reads the winner's.
func newHashKey(path string) ([]byte, error) {
	key := make([]byte, hashKeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".key-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp.Name())
	if _, err := fmt.Fprintln(temp, hex.EncodeToString(key)); err != nil {
		return nil, err
	}
	if err := temp.Close(); err != nil {
		return nil, err
	}
	// Linking fails where the name is taken, unlike renaming.
	if err := os.Link(temp.Name(), path); err != nil {
		if data, err := os.ReadFile(path); err == nil && len(data) >= 2*hashKeySize {
			return hex.DecodeString(string(data[:2*hashKeySize]))
		}
		return nil, err
	}
	return key, nil
}
