package msi

import (
	"strings"
)

// A RegistryValue is a row of the Registry table: a value that is written, or a
// key that is made or removed.
type RegistryValue struct {
	ID        string
	Component string
	Root      string // HKCR, HKCU, HKLM, HKU; "HKLM|HKCU" depends on the scope
	Key       string // may hold [properties], as Name and Value may
	Name      string // "" is the key's default value
	Action    RegistryAction
	Type      string // string, expand, dword, binary, multi; "" without a value
	// Value is the text without the marks that tell types apart: decimal for
	// dword, hexadecimal for binary, strings of multi joined with "[~]".
	Value string
	Is64  bool // the 64-bit view of the registry: the component is a 64-bit one
}

// A RegistryAction says what becomes of a key or value.
type RegistryAction string

// What rows of the Registry table do. A key is named by +, - or * in the place
// of a value's name.
const (
	RegistryWrite        RegistryAction = "write"        // the value; it is removed with the component
	RegistryCreateKey    RegistryAction = "createKey"    // when the component is installed
	RegistryRemoveKey    RegistryAction = "removeKey"    // with all it holds, when the component is removed
	RegistryCreateRemove RegistryAction = "createRemove" // both
)

// RegistryValues reads the Registry table, in its order.
func (f *File) RegistryValues() ([]RegistryValue, error) {
	components, err := f.Components()
	if err != nil {
		return nil, err
	}
	known := byID(components)
	var list []RegistryValue
	columns := []string{"Registry", "Root", "Key", "Name", "Value", "Component_"}
	return list, f.view("Registry", columns, func(r Row, c []int) error {
		component, ok := known[r.Text(c[5])]
		if !ok {
			return r.fail(c[5], "registry value %q: there is no component %q", r.Text(c[0]), r.Text(c[5]))
		}
		root, _ := r.Int(c[1])
		if root < -1 || root > 3 {
			return r.fail(c[1], "registry value %q has root %d", r.Text(c[0]), root)
		}
		v := RegistryValue{
			ID:        r.Text(c[0]),
			Component: component.ID,
			Root:      [...]string{"HKLM|HKCU", "HKCR", "HKCU", "HKLM", "HKU"}[root+1],
			Key:       r.Text(c[2]),
			Name:      r.Text(c[3]),
			Action:    RegistryWrite,
			Is64:      component.Is64,
		}
		if r.Exact(c[4]) == "" {
			v.Action = keyAction(v.Name)
		}
		if v.Action == RegistryWrite {
			v.Type, v.Value = registryValue(r.Text(c[4]))
		} else {
			v.Name = ""
		}
		list = append(list, v)
		return nil
	})
}

// keyAction reads the names that mean a key, where there is no value.
func keyAction(name string) RegistryAction {
	switch name {
	case "+":
		return RegistryCreateKey
	case "-":
		return RegistryRemoveKey
	case "*":
		return RegistryCreateRemove
	default:
		return RegistryWrite
	}
}

// registryValue reads the prefixes of the Registry table's Value column.
func registryValue(text string) (kind, value string) {
	switch {
	case strings.HasPrefix(text, "##"):
		return "string", text[1:]
	case strings.HasPrefix(text, "#%"):
		return "expand", text[2:]
	case strings.HasPrefix(text, "#x"), strings.HasPrefix(text, "#X"):
		return "binary", text[2:]
	case strings.HasPrefix(text, "#"):
		return "dword", text[1:]
	case strings.Contains(text, "[~]"):
		return "multi", text
	default:
		return "string", text
	}
}
