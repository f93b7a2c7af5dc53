package factory

import (
	"bytes"
	"context"
	"encoding/json"
	"path"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/evidence"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// inventoried counts the devices of some tenants by their newest inventory in
// the evidence of this clone, here or as last fetched. It reads the folders of
// these tenants alone and proves nothing: what a number in a preview is worth,
// the audit says. A tenant without an inventory is left out.
func inventoried(ctx context.Context, git *gitrepo.Repo, tenants []fleet.TenantID) (map[fleet.TenantID]int, error) {
	out := map[fleet.TenantID]int{}
	trees := map[string][]*gitrepo.Tree{}
	for _, t := range tenants {
		branch := evidence.Shard(t)
		if _, known := trees[branch]; !known {
			list, err := evidenceTrees(git, branch)
			if err != nil {
				return nil, err
			}
			trees[branch] = list
		}
		var newest fleet.InventoryRow
		for _, tree := range trees[branch] {
			if err := newestInventory(ctx, tree, t, &newest, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// evidenceTrees are the states of an evidence branch in this clone.
func evidenceTrees(git *gitrepo.Repo, branch string) ([]*gitrepo.Tree, error) {
	var out []*gitrepo.Tree
	seen := ""
	for _, name := range []string{"refs/heads/" + branch, "refs/remotes/origin/" + branch} {
		commit, err := git.Ref(name)
		if err != nil {
			return nil, err
		}
		if commit == "" || commit == seen {
			continue
		}
		seen = commit
		tree, err := git.Tree(commit)
		if err != nil {
			return nil, err
		}
		out = append(out, tree)
	}
	return out, nil
}

// newestInventory counts the rows of a tenant's newest batch. All rows of a
// batch are of one moment, so the first one dates it.
func newestInventory(ctx context.Context, tree *gitrepo.Tree, t fleet.TenantID, newest *fleet.InventoryRow, out map[fleet.TenantID]int) error {
	files, err := tree.Files(ctx, evidence.InventoryDir(t))
	if err != nil {
		return err
	}
	for _, f := range files {
		if path.Ext(f.Path) != ".jsonl" {
			continue
		}
		data, err := tree.Read(f.Path)
		if err != nil {
			return err
		}
		lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		var first fleet.InventoryRow
		if err := json.Unmarshal(lines[0], &first); err != nil || first.Tenant != t {
			continue // no inventory of this tenant: the audit will say so
		}
		if first.At.After(newest.At) {
			*newest, out[t] = first, len(lines)
		}
	}
	return nil
}
