package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Evergreen reads the rows of an application. name says where they were read,
// app is the application's name: the rows do not tell it. Rows of other versions
// than the first one's are passed over.
func Evergreen(name, app string, data []byte) (*fleet.Manifest, error) {
	if len(data) > MaxBytes {
		return nil, errLarge
	}
	var list []map[string]any
	if err := json.Unmarshal(data, &list); err != nil {
		var one map[string]any
		if json.Unmarshal(data, &one) != nil {
			return nil, fmt.Errorf("are no rows of Evergreen: %w", err)
		}
		list = []map[string]any{one}
	}
	if len(list) > maxInstallers {
		return nil, fmt.Errorf("%d rows are listed; %d are read", len(list), maxInstallers)
	}
	m := &fleet.Manifest{Kind: fleet.ManifestEvergreen, Read: []string{name}, ID: app, Name: app}
	for _, row := range list {
		o, version, err := evergreenRow(row)
		if err != nil {
			return nil, err
		}
		if o.URL == "" || version == "" {
			continue
		}
		if m.Version == "" {
			m.Version = version
		}
		if version == m.Version {
			m.Installers = append(m.Installers, o)
		}
	}
	if len(m.Installers) == 0 {
		return nil, errors.New("no row has a Version and a URI")
	}
	return m, nil
}

func evergreenRow(row map[string]any) (fleet.Offer, string, error) {
	o := fleet.Offer{Platform: "windows", Arch: "universal", Row: map[string]string{}}
	var version string
	for _, key := range slices.Sorted(maps.Keys(row)) {
		value, ok := row[key].(string)
		if !ok {
			continue
		}
		value, err := text(key, value)
		if err != nil {
			return o, "", err
		}
		switch key {
		case "Version":
			version = value
		case "URI":
			o.URL = value
		case "Architecture":
			o.Arch = strings.ToLower(value)
		case "Type":
			o.Type = strings.ToLower(value)
		case "Language":
			o.Language = value
		case "Channel", "Release", "Ring", "Track", "Edition", "InstallerType", "Product", "Platform":
			if len(o.Row) < maxList {
				o.Row[key] = value
			}
		}
	}
	switch o.Type {
	case "msi", "exe", "msix", "pkg":
	case "zip", "7z":
		o.Type = "archive"
	}
	return o, version, nil
}
