package factory

import "github.com/packmill/packmill/internal/fleet"

// readFile is a package's payload file, as text, at a commit.
func (f *Factory) readFile(commit string, id fleet.PackageID, name string) (string, error) {
	tree, err := f.Git.Tree(commit)
	if err != nil {
		return "", err
	}
	data, err := tree.Read(id.Dir() + "/" + name)
	return string(data), err
}
