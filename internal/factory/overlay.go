package factory

import (
	"cmp"
	"slices"

	"github.com/packmill/packmill/internal/record/desired"
)

// overlay is a tree with files laid over it: what a commit would hold, before
// it is made.
type overlay struct {
	desired.Tree
	over desired.MapTree
}

// Overlay is the tree with the files added or replaced.
func Overlay(base desired.Tree, files map[string][]byte) desired.Tree {
	return overlay{base, desired.MapTree(files)}
}

// Files lists what is below prefix, the files laid over included.
func (t overlay) Files(prefix string) ([]desired.File, error) {
	below, err := t.Tree.Files(prefix)
	if err != nil {
		return nil, err
	}
	over, err := t.over.Files(prefix)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(slices.Clone(below), func(f desired.File) bool { return t.over[f.Path] != nil })
	out = append(out, over...)
	slices.SortFunc(out, func(a, b desired.File) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

// Read is the content of one file.
func (t overlay) Read(path string) ([]byte, error) {
	if data, ok := t.over[path]; ok {
		return data, nil
	}
	return t.Tree.Read(path)
}
