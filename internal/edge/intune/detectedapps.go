package intune

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
)

const (
	detectedVersion = "v1.0"
	detectedPath    = "/" + detectedVersion + "/deviceManagement/detectedApps"
)

func detectedDevicesPath(id string) string {
	return detectedPath + "/" + url.PathEscape(id) + "/managedDevices"
}

type detectedApp struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
	Version     string `json:"version"`
	Publisher   string `json:"publisher"`
	Platform    string `json:"platform"`
	DeviceCount int    `json:"deviceCount"`
}

// Apps lists the programs that the tenant's devices have, with how many devices
// have each, whoever installed them. The service learns of programs weekly for
// most devices. Of phones' apps it tells too; they are left out.
func (c *Client) Apps(ctx context.Context) ([]fleet.DetectedApp, error) {
	found, err := msgraph.List[detectedApp](ctx, c.api, msgraph.Final, msgraph.Query(detectedPath, "$select", "id,displayName,version,publisher,platform,deviceCount", "$top", "1000"))
	if err != nil {
		return nil, c.api.Fail("intune.apps", c.api.Directory(), err)
	}
	sums := map[fleet.DetectedApp]int{}
	for _, d := range found {
		platform, known := detectedPlatform(d.Platform)
		if !known || d.DeviceCount <= 0 || strings.TrimSpace(d.DisplayName) == "" {
			continue
		}
		a := fleet.DetectedApp{Name: strings.TrimSpace(d.DisplayName), Publisher: strings.TrimSpace(d.Publisher), Version: strings.TrimSpace(d.Version), Platform: platform}
		// The service lists one program several times, once for each size it saw.
		sums[a] += d.DeviceCount
	}
	out := make([]fleet.DetectedApp, 0, len(sums))
	for a, n := range sums {
		a.Devices = n
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b fleet.DetectedApp) int {
		return cmp.Or(cmp.Compare(b.Devices, a.Devices), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.Publisher, b.Publisher), strings.Compare(a.Platform, b.Platform))
	})
	return out, nil
}

// detectedPlatform is the platform packmill knows, "" where the service does not
// know it; known is false for phones and the like.
func detectedPlatform(s string) (platform string, known bool) {
	switch strings.ToLower(s) {
	case "windows":
		return "windows", true
	case "macos":
		return "macos", true
	case "ios", "androidosp", "androiddeviceadministrator", "androidworkprofile", "androiddedicatedandfullymanaged", "chromeos", "windowsmobile", "windowsholographic":
		return "", false
	}
	return "", true
}

// AppDevices are the directory ids of the devices that have a program of a name
// and version: asked for one program, when it matters who has it.
func (c *Client) AppDevices(ctx context.Context, name, version string) ([]string, error) {
	found, err := msgraph.List[detectedApp](ctx, c.api, msgraph.Final, msgraph.Query(detectedPath,
		"$filter", "displayName eq '"+strings.ReplaceAll(name, "'", "''")+"'", "$select", "id,displayName,version"))
	if err != nil {
		return nil, c.api.Fail("intune.apps", name, err)
	}
	var managed []string
	for _, d := range found {
		if d.DisplayName != name || d.Version != version {
			continue
		}
		devices, err := msgraph.List[managedDevice](ctx, c.api, msgraph.Final, msgraph.Query(detectedDevicesPath(d.ID), "$select", "id"))
		if err != nil {
			return nil, c.api.Fail("intune.apps", name, err)
		}
		for _, m := range devices {
			managed = append(managed, m.ID)
		}
	}
	ids, err := c.directoryIDs(ctx, managed)
	if err != nil {
		return nil, c.api.Fail("intune.apps", name, err)
	}
	var out []string
	for _, id := range managed {
		if ids[id] != "" {
			out = append(out, ids[id])
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
