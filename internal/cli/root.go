package cli

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/desired"
)

const moduleFile = "cue.mod/module.cue"

// repositoryAbove is the nearest folder from dir upwards that holds a packmill
// repository, as git looks for its own; dir itself when there is none. It does
// not look beyond the git repository that dir lies in.
func repositoryAbove(dir string) string {
	for up := dir; ; up = filepath.Join(up, "..") {
		if exists(filepath.Join(up, filepath.FromSlash(moduleFile))) {
			return up
		}
		bare := exists(filepath.Join(up, "HEAD")) && exists(filepath.Join(up, "objects"))
		whole, err := filepath.Abs(up)
		if bare || exists(filepath.Join(up, ".git")) || err != nil || whole == filepath.Dir(whole) {
			return dir
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// isRepository says in one sentence that nothing of a packmill repository is
// there, where a list of all that is missing would help nobody.
func (a *app) isRepository(tree desired.Tree) error {
	for _, prefix := range []string{moduleFile, "catalog", "tenants"} {
		if files, err := tree.Files(prefix); err != nil || len(files) > 0 {
			return nil
		}
	}
	object, err := a.repo, errors.New("is no packmill repository: it has no "+moduleFile+", no catalog/ and no tenants/")
	if object == "." {
		object = "this folder"
	}
	return &fleet.Error{Op: "cli.open", Object: object, Kind: fleet.Invalid, Err: err, Hint: "packmill init DIR makes one; -C DIR names one"}
}
