package bump

import (
	"fmt"
	"maps"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// changedBytes says which pinned bytes the vendor now states otherwise.
func changedBytes(p fleet.Package, stated map[string]map[string]Stated) string {
	for _, v := range p.Versions() {
		for _, key := range slices.Sorted(maps.Keys(p.Releases[v].Installers)) {
			have, now := p.Releases[v].Installers[key], stated[v][key]
			switch {
			case now.Digest != "" && now.Digest != have.SHA256:
				return fmt.Sprintf("release %s, installer %s: git pins %s, the vendor now states %s", v, key, have.SHA256.Short(), now.Digest.Short())
			case now.Size != 0 && now.Size != have.Size:
				return fmt.Sprintf("release %s, installer %s: git pins %d bytes, the vendor now states %d", v, key, have.Size, now.Size)
			}
		}
	}
	return ""
}

// OutOfProportion is why the sizes of a new version's installers, in bytes by
// installer, do not fit the newest release: one is more than upstream.sizeFactor
// times as large or as small. A download that is a stub, a page or another
// product is told by that before anybody installs it. Sizes of zero are not
// known, and a new epoch is another product.
func OutOfProportion(p fleet.Package, sizes map[string]int64) string {
	current, latest, released := p.Latest()
	if !released || p.Upstream == nil || latest.Epoch != p.Upstream.Epoch {
		return ""
	}
	factor := int64(fleet.DefaultSizeFactor)
	if p.Upstream.SizeFactor > 0 {
		factor = int64(p.Upstream.SizeFactor)
	}
	for _, key := range slices.Sorted(maps.Keys(sizes)) {
		was, is := latest.Installers[key].Size, sizes[key]
		if was <= 0 || is <= 0 {
			continue
		}
		if is/factor > was || is/factor == was && is%factor > 0 || was/factor > is || was/factor == is && was%factor > 0 {
			return fmt.Sprintf("installer %s has %d bytes, that of the release %s %d: more than %d times apart (upstream.sizeFactor)", key, is, current, was, factor)
		}
	}
	return ""
}

func sizes(stated map[string]Stated) map[string]int64 {
	out := map[string]int64{}
	for key, s := range stated {
		out[key] = s.Size
	}
	return out
}
