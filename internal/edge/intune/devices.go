package intune

import (
	"context"
	"strings"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/fleet"
)

// Inventory lists the managed devices under the ids of their directory objects,
// which is what groups take. A device without a directory object cannot be a
// member of a group: it is left out and told to the log.
func (c *Client) Inventory(ctx context.Context) ([]fleet.Device, error) {
	managed, ids, err := c.readDevices(ctx)
	if err != nil {
		return nil, c.api.Fail("intune.inventory", c.api.Directory(), err)
	}
	var out []fleet.Device
	for _, m := range managed {
		id := ids[m.ID]
		platform := platformOf(m.OperatingSystem)
		if id == "" || platform == "" {
			c.api.Log().DebugContext(ctx, "device left out of the inventory", "tenant", c.api.Directory(), "os", m.OperatingSystem, "inDirectory", id != "")
			continue
		}
		d := fleet.Device{ID: id, Platform: platform, OSVersion: m.OSVersion, LastSeen: m.LastSync.UTC(), Attributes: map[string]string{}}
		apps, updates := m.owners()
		for name, value := range map[string]string{fleet.AppsOwner: apps, fleet.UpdatesOwner: updates, "manufacturer": m.Manufacturer, "model": m.Model, "department": m.Category} {
			if value != "" {
				d.Attributes[name] = value
			}
		}
		out = append(out, d)
	}
	return out, nil
}

// owners are who owns the device's apps and updates, "" where Intune does or
// nobody knows. A device that only Configuration Manager manages is there by
// tenant attach: Intune shows it and installs nothing.
func (m managedDevice) owners() (apps, updates string) {
	owned := func(intunes *bool) string {
		if intunes != nil && !*intunes {
			return fleet.ConfigurationManager
		}
		return ""
	}
	switch m.Agent {
	case "configurationManagerClient":
		return fleet.ConfigurationManager, fleet.ConfigurationManager
	case "configurationManagerClientMdm", "configurationManagerClientMdmEas":
		if m.Features != nil {
			return owned(m.Features.Apps), owned(m.Features.Updates)
		}
	}
	return "", ""
}

// platformOf is the platform packmill knows, "" for phones and the like.
func platformOf(operatingSystem string) string {
	switch strings.ToLower(operatingSystem) {
	case "windows":
		return "windows"
	case "macos":
		return "macos"
	case "linux":
		return "linux"
	}
	return ""
}

// readDevices lists managed devices, and for each the directory object's id. The
// two lists are joined here by the Entra device id: one request for a page of
// devices instead of one for each.
func (c *Client) readDevices(ctx context.Context) ([]managedDevice, map[string]string, error) {
	managed, err := msgraph.List[managedDevice](ctx, c.api, msgraph.Final, msgraph.Query(managedDevicesPath,
		"$select", "id,azureADDeviceId,operatingSystem,osVersion,lastSyncDateTime,manufacturer,model,deviceCategoryDisplayName,userId,managementAgent,configurationManagerClientEnabledFeatures", "$top", "1000"))
	if err != nil {
		return nil, nil, err
	}
	directory, err := msgraph.List[directoryDevice](ctx, c.api, msgraph.Final, msgraph.Query(devicesPath, "$select", "id,deviceId", "$top", "999"))
	if err != nil {
		return nil, nil, err
	}
	objects := make(map[string]string, len(directory))
	for _, d := range directory {
		objects[strings.ToLower(d.DeviceID)] = d.ID
	}
	ids, users := make(map[string]string, len(managed)), map[string]string{}
	for _, m := range managed {
		if object := objects[strings.ToLower(m.AzureADDeviceID)]; object != "" && m.AzureADDeviceID != "" {
			ids[m.ID] = object
			if m.UserID != "" {
				users[object] = m.UserID
			}
		}
	}
	c.mu.Lock()
	c.devices, c.users = ids, users
	c.mu.Unlock()
	return managed, ids, nil
}

// DirectoryIDs gives the id of the directory's object of each managed device.
func (c *Client) DirectoryIDs(ctx context.Context, managed []string) (map[string]string, error) {
	return c.directoryIDs(ctx, managed)
}

// directoryIDs gives the directory id of each managed device, reading the
// devices again when one of them is not known yet.
func (c *Client) directoryIDs(ctx context.Context, managed []string) (map[string]string, error) {
	c.mu.Lock()
	ids := c.devices
	c.mu.Unlock()
	for _, id := range managed {
		if ids[id] == "" {
			_, ids, err := c.readDevices(ctx)
			return ids, err
		}
	}
	return ids, nil
}
