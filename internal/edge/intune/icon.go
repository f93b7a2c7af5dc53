package intune

import (
	"bytes"
	"image"
	_ "image/jpeg" // the two forms that the service shows
	_ "image/png"

	"github.com/packmill/packmill/internal/fleet"
)

// maxIcon is the largest icon that is sent, in bytes. The service's own limit is
// said nowhere; its portal's hint is a square of 512 pixels, which takes less.
const maxIcon = 750 << 10

// maxIconSide is the longest side of an icon, in pixels, as package.cue says.
const maxIconSide = 512

// largeIcon is the package's icon as the company portal shows it. Its form is
// what its bytes say, whatever its name is.
func largeIcon(app fleet.App) (*mimeContent, error) {
	if len(app.Icon) == 0 {
		return nil, nil
	}
	if len(app.Icon) > maxIcon {
		return nil, invalid(app, "the icon has %d bytes, at most %d are shown", len(app.Icon), maxIcon)
	}
	// The header alone: what lies behind it is the portal's to draw.
	size, form, err := image.DecodeConfig(bytes.NewReader(app.Icon))
	if err != nil {
		return nil, invalid(app, "the icon is neither a PNG nor a JPEG: %w", err)
	}
	if size.Width < 1 || size.Height < 1 || size.Width > maxIconSide || size.Height > maxIconSide {
		return nil, invalid(app, "the icon has %d by %d pixels, at most %d by %d are shown", size.Width, size.Height, maxIconSide, maxIconSide)
	}
	return &mimeContent{Type: "image/" + form, Value: app.Icon}, nil
}
