package desired

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// player is a package of what cannot be read, and a managed one.
const player = `package catalog

import "github.com/packmill/packmill/schema"

pkg: schema.#Package & {
	id:         "igor-pavlov/player"
	name:       "Player"
	kind:       "application"
	categories: ["Media"]
	sources: ["x"]
	installers: {
		shop: {platform:  "windows", arch: "x64", type:       "store", detect: [{operator: ">=", package: "9NBLGGH4NNS1"}]}
		image: {platform: "macos", arch:   "x64", type:       "dmg", detect: [{bundle: "org.example.player"}]}
		mac: {platform:   "macos", arch:   "universal", type: "pkg", managed: true, detect: [{bundle: "org.example.player"}]}
	}
	tests: matrix: []
	rollback: "uninstall"
}
`

func playerEdits(edits ...[2]string) []edit {
	text := player
	for _, e := range edits {
		text = strings.Replace(text, e[0], e[1], 1)
	}
	return []edit{
		{"catalog/igor-pavlov/player/package.cue", "", text},
		{"catalog/igor-pavlov/player/1.0.cue", "", "package catalog\n\npkg: releases: \"1.0\": {counter: 1, change: \"new\"}\n"},
	}
}

// TestAppKinds: what a console needs is there, and comes through.
func TestAppKinds(t *testing.T) {
	repo, err := load(t, edited(t, playerEdits()...))
	if err != nil {
		t.Fatal(err)
	}
	p := repo.Packages[fleet.PackageID("igor-pavlov/player")]
	if !p.Installers["mac"].Managed || p.Installers["shop"].Type != "store" || len(p.Categories) != 1 || len(p.Releases) != 1 {
		t.Errorf("%+v", p)
	}
}

// What a console must be told of an installer that cannot be read.
func TestAppKindRules(t *testing.T) {
	checkRules(t, []rule{
		{"a store's app without its id", []edit{{sevenZip, `type:     "msi"`, `type:     "store"`}}},
		{"a disk image without a bundle", []edit{{sevenZip, `platform: "windows"`, `platform: "macos"`}, {sevenZip, `type:     "msi"`, `type:     "dmg"`}}},
		{"a disk image for Windows", []edit{{sevenZip, `type:     "msi"`, `type:     "dmg"`}}},
		{"managed on Windows", []edit{{sevenZip, `type:     "msi"`, `type:     "msi", managed: true`}}},
		{"managed by a word", []edit{{sevenZip, `type:     "msi"`, `type:     "msi", managed: "yes"`}}},
		{"a category without a name", []edit{{sevenZip, `kind: `, `categories: [""], kind: `}}},
		{"an unmanaged package that is to be removed", playerEdits([2]string{"managed: true, ", ""})},
		{"the store's version before", playerEdits([2]string{`"uninstall"`, `"previous"`})},
		{"a release of nothing", playerEdits([2]string{`shop: {platform:  "windows", arch: "x64", type:       "store", detect: [{operator: ">=", package: "9NBLGGH4NNS1"}]}`, ""})},
	})
}
