package intune

import (
	"context"
	"slices"

	"github.com/packmill/packmill/internal/fleet"
)

// Objects tells of packmill's app objects, and whether their properties are as
// they were last written. The marker keeps what those were as a digest alone: that
// a person changed one can be told, and not what. One whose publication is not
// finished is not judged.
func (c *Client) Objects(ctx context.Context) (ours, foreign []fleet.PartState, err error) {
	c.mu.Lock()
	c.slots, err = c.listSlots(ctx)
	var keys []slotKey
	for k := range c.slots {
		keys = append(keys, k)
	}
	c.mu.Unlock()
	slices.SortFunc(keys, func(a, b slotKey) int {
		return slices.Compare([]string{string(a.pkg), a.slot}, []string{string(b.pkg), b.slot})
	})
	for _, k := range keys {
		f, err := c.find(ctx, k)
		if err != nil {
			return nil, nil, c.api.Fail("intune.list", k.String(), err)
		}
		if f == nil {
			continue // gone since
		}
		have := f.app
		have.ID, have.Notes, have.CommittedContentVersion, have.PublishingState, have.CreatedDateTime = "", nil, "", "", nil
		ours = append(ours, fleet.PartState{
			ID: f.app.ID, Package: k.pkg, Kind: fleet.PartApp, Name: f.app.DisplayName, Slot: k.slot, Version: f.marker.Version, Artifact: f.marker.Artifact,
			File: f.marker.File, Moved: f.marker.Spec != "" && f.marker.Pending == "" && specID(have) != f.marker.Spec,
		})
	}
	return ours, nil, c.api.Fail("intune.list", c.api.Directory(), err)
}
