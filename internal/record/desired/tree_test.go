package desired

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestDirTree(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret.cue"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, MapTree{
		"catalog/a/b.txt": []byte("hello\n"), "catalog/.git/config": []byte("token"),
		"catalog/module/.git": []byte("gitdir: ../../.git/modules/x"), "catalog/z.txt": nil,
	})
	for link, target := range map[string]string{
		"catalog/file.cue": filepath.Join(outside, "secret.cue"), "catalog/folder": outside, "tenants": outside, "schedules": "catalog",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip("this system makes no symlinks: " + err.Error())
		}
	}
	tree, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	for prefix, want := range map[string][]File{
		"catalog": {
			{Path: "catalog/a/b.txt", Blob: "ce013625030ba8dba906f756967f9e9ca394464a", Size: 6},
			{Path: "catalog/file.cue", Mode: Symlink},
			{Path: "catalog/folder", Mode: Symlink},
			{Path: "catalog/module", Mode: Submodule},
			{Path: "catalog/z.txt", Blob: "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"},
		},
		"tenants":   {{Path: "tenants", Mode: Symlink}},
		"schedules": {{Path: "schedules", Mode: Symlink}},
		"nothing":   nil,
	} {
		got, err := tree.Files(prefix)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i].Mode == Symlink {
				got[i].Size = 0 // the length of the target's name
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", prefix, got, want)
		}
	}
	for _, path := range []string{"tenants/secret.cue", "catalog/file.cue", "catalog/folder/secret.cue", "../x", "/etc/hostname"} {
		if data, err := tree.Read(path); err == nil {
			t.Errorf("%s was read: %q", path, data)
		}
	}
	if _, err := tree.Files("../x"); err == nil {
		t.Error("a prefix above the root is listed")
	}
}

// A repository whose folders are links out of it says so and reads nothing.
func TestLoadLinks(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	write(t, outside, msp(t))
	write(t, dir, bare())
	for _, name := range []string{"catalog", "schedules", "tenants"} {
		if err := os.Symlink(filepath.Join(outside, name), filepath.Join(dir, name)); err != nil {
			t.Skip("this system makes no symlinks: " + err.Error())
		}
	}
	tree, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	_, err = load(t, tree)
	if err == nil || strings.Count(err.Error(), "symbolic link") != 3 || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v", err)
	}
}

// A folder on disk and the same files in memory are one repository.
func TestDirEqualsMap(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, msp(t))
	tree, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	a, err := load(t, tree)
	if err != nil {
		t.Fatal(err)
	}
	b, err := load(t, msp(t))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Error("they differ")
	}
	if len(a.Blobs) < 20 || a.Blobs[sevenZip] == "" {
		t.Errorf("blobs: %v", a.Blobs)
	}
}

func TestTooLargeToRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, MaxPayload+1), 0o644); err != nil {
		t.Fatal(err)
	}
	tree, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if _, err := tree.Read("big"); err == nil {
		t.Error("read")
	}
	files, err := tree.Files(".")
	if err != nil || len(files) != 1 || files[0].Blob != "" || files[0].Size != MaxPayload+1 {
		t.Errorf("got %+v, %v", files, err)
	}
}
