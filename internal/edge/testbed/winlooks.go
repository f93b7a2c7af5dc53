package testbed

import (
	"bytes"
	"context"
	"os"
	"path"
	"strings"
)

// running asks the prefix for each service: those that start by themselves do so
// whenever Wine starts.
func (d *windows) running(ctx context.Context, services []string) (string, error) {
	for _, name := range services {
		if strings.ContainsAny(name, "\"%&|<>^\r\n") {
			return "", failf("%q is no name of a service", name)
		}
		code, output, err := d.command(ctx, workFolder, `sc query "`+name+`"`, probeLimit)
		if err != nil {
			return "", err
		}
		if code != 0 || !strings.Contains(output, "RUNNING") {
			return "", failf("service %s does not run: %s", name, detail(output))
		}
	}
	return strings.Join(services, ", "), nil
}

func (d *windows) complaints(context.Context) ([]string, error) {
	return nil, skipped{"not looked at: Wine keeps no event log"}
}

func (d *windows) ports(context.Context) (survey, error) {
	return nil, skipped{"not looked at: nothing runs on in this cell, and it has no network"}
}

// survey lists drive C: and the registry, without the cell's own work folder and
// what Windows keeps for a while.
func (d *windows) survey(context.Context) (survey, error) {
	root, err := d.drive()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	files := survey{}
	err = files.files(root.FS(), "", func(inside string) bool {
		folded := strings.ToLower(inside)
		return folded == workFolder || folded == "windows/temp" || strings.HasSuffix(folded, "/appdata/local/temp") ||
			strings.HasPrefix(folded, "users/") && strings.HasSuffix(folded, "/temp") || strings.HasSuffix(folded, "/temporary internet files")
	})
	if err != nil {
		return nil, err
	}
	s := survey{}
	for name := range files {
		s["file C:\\"+strings.ReplaceAll(strings.TrimPrefix(name, "file "), "/", `\`)] = true
	}
	prefix, err := os.OpenRoot(d.layer.root)
	if err != nil {
		return nil, err
	}
	defer prefix.Close()
	all, err := registryOf(prefix)
	if err != nil {
		return nil, err
	}
	for key, values := range all { // an empty key does nothing, like a folder
		if volatileKey(key) {
			continue
		}
		for _, v := range values {
			s["registry "+shown(key)+`\`+v.name] = true
		}
	}
	return s, nil
}

// shown is a folded key with its hive as people write it.
func shown(key string) string { return strings.ToUpper(key[:4]) + key[4:] }

// volatileKey reports whether Wine itself writes a key whenever it starts.
func volatileKey(key string) bool {
	for _, under := range []string{`hkcu\software\wine\`, `hklm\hardware\`, `hklm\system\currentcontrolset\enum\`, `hklm\software\microsoft\windows nt\currentversion\fonts`,
		`hklm\system\currentcontrolset\control\video`, `hklm\system\currentcontrolset\control\class`, `hklm\system\currentcontrolset\control\session manager`,
	} {
		if strings.HasPrefix(key, under) {
			return true
		}
	}
	return false
}

// alter appends to the files that the package declares as settings, and writes
// the registry values. What an installer itself calls a setting, nobody can tell.
func (d *windows) alter(ctx context.Context, _ item, declared []string) ([]string, error) {
	root, err := d.drive()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var out []string
	for _, name := range declared {
		if key, value, ok := registrySetting(name); ok {
			code, output, err := d.command(ctx, workFolder, `reg add "`+key+`" /v "`+value+`" /t REG_SZ /d "`+alteration+`" /f`, probeLimit)
			if err != nil {
				return nil, err
			}
			if code != 0 {
				return nil, failf("%s cannot be set: %s", name, detail(output))
			}
			out = append(out, name)
			continue
		}
		at, ok := resolveCase(root, name)
		if !ok {
			continue // only a program writes it
		}
		if err := appendTo(root, at, "\r\n"+alteration+"\r\n"); err == nil {
			out = append(out, name)
		}
	}
	return out, nil
}

// registrySetting splits the name of a registry value that may stand on a
// command line.
func registrySetting(name string) (key, value string, ok bool) {
	if !strings.HasPrefix(strings.ToUpper(name), `HKLM\`) && !strings.HasPrefix(strings.ToUpper(name), `HKCU\`) || strings.ContainsAny(name, "\"%&|<>^\r\n") {
		return "", "", false
	}
	i := strings.LastIndexByte(name, '\\')
	return name[:i], name[i+1:], i > 4 && i+1 < len(name)
}

func (d *windows) altered(_ context.Context, setting string) (bool, error) {
	if key, value, ok := registrySetting(setting); ok {
		seen, err := d.value(key, value, 64)
		return seen.Value == alteration, err
	}
	root, err := d.drive()
	if err != nil {
		return false, err
	}
	defer root.Close()
	at, ok := resolveCase(root, setting)
	if !ok {
		return false, nil
	}
	data, err := readCapped(root, path.Clean(at), maxSetting)
	return err == nil && bytes.Contains(data, []byte(alteration)), nil
}
