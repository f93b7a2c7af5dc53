package upstream

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

func machine(env map[string]string, files map[string]string, programs map[string]string) Machine {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Machine{
		Getenv: func(k string) string { return env[k] }, Root: fsys,
		Run: func(_ context.Context, name string, args ...string) ([]byte, error) {
			out, ok := programs[strings.Join(append([]string{name}, args...), " ")]
			if !ok {
				return nil, errors.New("not found")
			}
			return []byte(out), nil
		},
	}
}

func TestMachine(t *testing.T) {
	npmrc := map[string]string{"home/ann/.npmrc": "fund=false\n; comment\nregistry = \"https://npm.example/a/\"\n@x:registry=https://other.example\n", ".npmrc": "registry=https://evil.example/"}
	programs := map[string]string{"npm config get registry": "https://asked.example/\n", "go env GOPROXY": "https://go.example,direct\n"}
	for _, tt := range []struct {
		name     string
		env      map[string]string
		files    map[string]string
		programs map[string]string
		npm, go_ string
	}{
		{"environment first", map[string]string{"NPM_CONFIG_REGISTRY": "https://env.example/", "GOPROXY": "off", "HOME": "/home/ann"}, npmrc, programs, "https://env.example/", "off"},
		{"spelled as npm does", map[string]string{"npm_config_registry": "https://env.example/"}, nil, programs, "https://env.example/", "https://go.example,direct"},
		{"the user's file", map[string]string{"HOME": "/home/ann"}, npmrc, programs, "https://npm.example/a/", "https://go.example,direct"},
		{"the program", map[string]string{"HOME": "/home/bob"}, npmrc, programs, "https://asked.example/", "https://go.example,direct"},
		{"no clients", nil, nil, nil, "", ""},
		{"a program that knows none", nil, nil, map[string]string{"npm config get registry": "undefined\n"}, "", ""},
	} {
		c := machine(tt.env, tt.files, tt.programs).Config(t.Context())
		if c.NPMRegistry != tt.npm || c.GoProxy != tt.go_ {
			t.Errorf("%s: npm %q, go %q", tt.name, c.NPMRegistry, c.GoProxy)
		}
	}
}

func TestAptSources(t *testing.T) {
	files := map[string]string{
		"etc/apt/sources.list": "# deb http://no.example x main\ndeb http://a.example/debian stable main contrib # why\ndeb-src http://a.example/debian stable main\ndeb [arch=amd64 signed-by=/x.gpg] https://b.example/apt nodistro main\ndeb cdrom:[x] stable main\ndeb [broken http://c.example stable main\ndeb http://short.example stable\n",
		"etc/apt/sources.list.d/d.sources": "Types: deb deb-src\n# a comment\nURIs: http://d.example/debian\nSuites: stable\n stable-updates\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n\n" +
			"Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: x\nComponents: main\n\nTypes: deb-src\nURIs: http://src.example\nSuites: x\nComponents: main\n\nTypes: deb\nURIs: https://gone.example\nSuites: x\nComponents: main\nSigned-By: /no/such.gpg\n",
		"x.gpg": "its own", "etc/apt/trusted.gpg": "one", "etc/apt/trusted.gpg.d/two.asc": "two", "etc/apt/trusted.gpg.d/three.txt": "three",
		"etc/apt/sources.list.d/ignored.txt": "deb http://ignored.example stable main\n",
		"other/sources.list":                 "deb http://o.example/debian stable main\n",
	}
	want := []AptSource{
		{"http://a.example/debian", "stable", []string{"main", "contrib"}, []string{"one", "two"}},
		{"https://b.example/apt", "nodistro", []string{"main"}, []string{"its own"}},
		{"http://d.example/debian", "stable", []string{"main"}, []string{"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n"}},
		{"http://d.example/debian", "stable-updates", []string{"main"}, []string{"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n"}},
		{"https://gone.example", "x", []string{"main"}, []string{""}},
	}
	if got := machine(nil, files, nil).AptSources(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := machine(map[string]string{"PACKMILL_APT_DIR": "/other"}, files, nil).AptSources(); len(got) != 1 || got[0].URI != "http://o.example/debian" {
		t.Errorf("of another folder: %+v", got)
	}
}

func TestPyPIIndex(t *testing.T) {
	conf := "[install]\nindex-url = https://no.example/\n[global]\n# index-url = https://old.example/\nindex_url: https://pip.example/simple\ntimeout = 60\n[list]\nindex-url = https://no.example/\n"
	asked := map[string]string{"pip config get global.index-url": "https://asked.example/simple\n"}
	for _, tt := range []struct {
		name     string
		env      map[string]string
		files    map[string]string
		programs map[string]string
		want     string
	}{
		{"environment first", map[string]string{"PIP_INDEX_URL": "https://env.example/simple", "HOME": "/home/ann"}, map[string]string{"home/ann/.config/pip/pip.conf": conf}, asked, "https://env.example/simple"},
		{"the user's file", map[string]string{"HOME": "/home/ann"}, map[string]string{"home/ann/.config/pip/pip.conf": conf}, asked, "https://pip.example/simple"},
		{"the user's older file", map[string]string{"HOME": "/home/ann"}, map[string]string{"home/ann/.pip/pip.conf": conf}, asked, "https://pip.example/simple"},
		{"a folder for configurations", map[string]string{"HOME": "/home/ann", "XDG_CONFIG_HOME": "/cfg"}, map[string]string{"cfg/pip/pip.conf": conf}, nil, "https://pip.example/simple"},
		{"a named file", map[string]string{"PIP_CONFIG_FILE": "/opt/pip.ini"}, map[string]string{"opt/pip.ini": conf, "etc/pip.conf": "[global]\nindex-url=https://no.example/"}, nil, "https://pip.example/simple"},
		{"the machine's file", nil, map[string]string{"etc/pip.conf": conf}, asked, "https://pip.example/simple"},
		{"a repository's file is none", map[string]string{"HOME": "/home/ann"}, map[string]string{"pip.conf": conf, "pip/pip.conf": conf}, asked, "https://asked.example/simple"},
		{"no pip", nil, nil, nil, ""},
	} {
		got, err := New(machine(tt.env, tt.files, tt.programs).Config(t.Context())).pypiIndex(t.Context())
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}
