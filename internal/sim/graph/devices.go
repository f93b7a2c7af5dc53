package graph

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// directoryObject is the device as the directory knows it.
func (d *device) directoryObject() map[string]any {
	return map[string]any{
		"@odata.type": "#microsoft.graph.device", "id": d.object, "deviceId": d.entra, "displayName": d.Name,
		"operatingSystem": cmp.Or(d.OS, "Windows"), "operatingSystemVersion": d.OSVersion, "accountEnabled": true,
	}
}

// managedDevice is the device as Intune knows it, last seen at an instant.
func (d *device) managedDevice(seen time.Time) map[string]any {
	out := map[string]any{
		"id": d.managed, "azureADDeviceId": d.entra, "deviceName": d.Name, "operatingSystem": cmp.Or(d.OS, "Windows"),
		"osVersion": d.OSVersion, "manufacturer": d.Manufacturer, "model": d.Model, "deviceCategoryDisplayName": d.Department,
		"lastSyncDateTime": seen.UTC().Format(time.RFC3339), "managedDeviceOwnerType": "company", "complianceState": "compliant",
	}
	d.agents(out)
	return out
}

func listDevices(r *request) (reply, error) {
	out := []map[string]any{}
	for _, d := range r.t.byObject() {
		res := d.directoryObject()
		match, err := filter(r.URL.Query(), res)
		if err != nil {
			return reply{}, err
		}
		if match {
			out = append(out, selected(r, res))
		}
	}
	return page(r, out, 100, 999)
}

func listManaged(r *request) (reply, error) {
	out := []map[string]any{}
	now := r.t.s.o.Now()
	for _, d := range r.t.byManaged() {
		seen, _ := r.t.lastCheckIn(d, now)
		res := d.managedDevice(seen)
		res["osVersion"] = r.t.osVersion(d, seen)
		match, err := filter(r.URL.Query(), res)
		if err != nil {
			return reply{}, err
		}
		if match {
			out = append(out, selected(r, res))
		}
	}
	return page(r, out, 1000, 1000)
}

func (t *tenant) byObject() []*device {
	return slices.SortedFunc(slices.Values(t.devices), func(a, b *device) int { return strings.Compare(a.object, b.object) })
}

func (t *tenant) byManaged() []*device {
	return slices.SortedFunc(slices.Values(t.devices), func(a, b *device) int { return strings.Compare(a.managed, b.managed) })
}
