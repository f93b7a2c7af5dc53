package bump

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// changedBytes says which bytes that the newest release pins the vendor now states
// otherwise: all of them, with whole digests, so that a person who lets this pass
// lets nothing else pass. Older releases are not compared: nobody downloads their
// bytes any more, what tenants may go back to is in the store.
func changedBytes(p fleet.Package, stated map[string]map[string]Stated) string {
	v, latest, released := p.Latest()
	if !released {
		return ""
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(latest.Installers)) {
		have, now := latest.Installers[key], stated[v][key]
		switch {
		case now.Digest != "" && now.Digest != have.SHA256:
			out = append(out, fmt.Sprintf("release %s, installer %s: git pins %s, the vendor now states %s", v, key, have.SHA256, now.Digest))
		case now.Size != 0 && now.Size != have.Size:
			out = append(out, fmt.Sprintf("release %s, installer %s: git pins %d bytes, the vendor now states %d", v, key, have.Size, now.Size))
		}
	}
	return strings.Join(out, "; ")
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
