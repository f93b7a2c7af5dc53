package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/packmill/packmill/internal/fleet"
)

// tenantKeys is the JSON form of keys tenants.
type tenantKeys struct {
	Folder string           `json:"folder"`
	Made   []fleet.TenantID `json:"made"` // had none, and have one now
	Kept   int              `json:"kept"` // tenants that had one
}

func newKeysTenantsCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tenants",
		Short: "Make the keys that tenants' device ids are hashed with",
		Long: `tenants makes a key for every tenant of the repository that has none in the folder
PACKMILL_TENANT_KEYS, readable by you alone, and tells for which. It calls nobody,
and a second time it makes nothing.

Evidence names a device by a hash of its id under its tenant's key: without the
same key in every run devices would look new in each. So a job in CI never makes
one, and this command refuses to run there. Make the keys of a new tenant where
you keep the folder, before its first run, and hand the jobs the whole folder: a
tenant that evidence knows already needs the key that it has. Whoever destroys a
tenant's key makes its devices in evidence nobody's.`,
		Example: "  PACKMILL_TENANT_KEYS=~/.config/packmill/tenants packmill keys tenants",
		Args:    cobra.NoArgs,
	}
	f := formatFlag(cmd, formatText, formatJSON)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := a.tenantKeys()
		if err != nil {
			return err
		}
		if a.getenv("CI") != "" {
			return &fleet.Error{Op: "cli.keys", Object: dir, Kind: fleet.Refused, Err: errors.New("keys made in CI are gone with the runner"),
				Hint: "make them where you keep the folder, and hand it to the job"}
		}
		repo, err := a.loadTree(cmd.Context(), "")
		if err != nil {
			return err
		}
		v, err := makeTenantKeys(dir, repo.TenantIDs())
		if err != nil {
			return err
		}
		var text strings.Builder
		for _, t := range v.Made {
			fmt.Fprintf(&text, "made a key for %s\n", t)
		}
		fmt.Fprintf(&text, "%s made in %s, %d there already\n", count(len(v.Made), "key"), dir, v.Kept)
		if len(v.Made) > 0 {
			text.WriteString("Back the folder up, outside the repository: nobody can make these keys again.\n")
		}
		return a.write(*f, result{name: "tenantkeys", value: v, text: text.String()})
	}
	return cmd
}

// makeTenantKeys gives each tenant without a key one. One that cannot be read is
// an error, and no reason to make another.
func makeTenantKeys(dir string, tenants []fleet.TenantID) (tenantKeys, error) {
	v := tenantKeys{Folder: dir, Made: []fleet.TenantID{}}
	for _, t := range tenants {
		path := hashKeyPath(dir, t)
		switch _, err := readHashKey(path); {
		case err == nil:
			v.Kept++
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return v, err
		}
		if _, err := newHashKey(path); err != nil {
			return v, &fleet.Error{Op: "cli.keys", Object: string(t), Kind: fleet.Invalid, Err: err}
		}
		v.Made = append(v.Made, t)
	}
	return v, nil
}
