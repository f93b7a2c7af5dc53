package testbed

import (
	"slices"
	"testing"
	"testing/fstest"
)

func TestAptSources(t *testing.T) {
	release := &fstest.MapFile{Data: []byte("NAME=\"Some System\"\nVERSION_CODENAME=trixie\n")}
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  []string
	}{
		"one line": {
			fstest.MapFS{"etc/apt/sources.list": {Data: []byte("# deb http://a.example trixie main\n" +
				"deb [arch=amd64 signed-by=/k.gpg] http://b.example/debian trixie main contrib # comment\n" +
				"deb-src http://b.example/debian trixie main\ndeb cdrom:[x]/ trixie main\ndeb http://c.example other main\n")}},
			[]string{"deb [signed-by=/k.gpg] http://b.example/debian trixie main contrib\n"},
		},
		"stanzas, the base before its updates": {
			fstest.MapFS{"etc/apt/sources.list.d/a.sources": {Data: []byte("Types: deb deb-src\nURIs: https://b.example/debian\nSuites: trixie-updates trixie trixie-backports\n" +
				"Components: main\nSigned-By: /usr/share/keyrings/k.gpg\n\n# off\nEnabled: no\nTypes: deb\nURIs: http://no.example\nSuites: trixie\nComponents: main\n\n" +
				"Types: deb\nURIs: http://s.example/security\nSuites: trixie-security\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n")}},
			[]string{
				"deb [signed-by=/usr/share/keyrings/k.gpg] https://b.example/debian trixie main\n",
				"deb [signed-by=/usr/share/keyrings/k.gpg] https://b.example/debian trixie-updates main\n",
				"deb http://s.example/security trixie-security main\n",
			},
		},
		"mirror list": {
			fstest.MapFS{
				"etc/apt/sources.list": {Data: []byte("deb mirror+file:/etc/apt/mirrors.txt trixie main\ndeb mirror+file:/etc/apt/none.txt trixie main\n")},
				"etc/apt/mirrors.txt":  {Data: []byte("# near\nhttp://near.example/debian/\tpriority:1\nhttps://far.example/\n")},
			},
			[]string{"deb http://near.example/debian/ trixie main\n"},
		},
		"files of other programs": {
			fstest.MapFS{"etc/apt/sources.list.d/x.sources.disabled": {Data: []byte("Types: deb\nURIs: http://x.example\nSuites: trixie\nComponents: main\n")}},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.files["etc/os-release"] = release
			codename, sources, err := aptSources(c.files)
			if err != nil || codename != "trixie" {
				t.Fatalf("%q %v", codename, err)
			}
			var lines []string
			for _, s := range sources {
				lines = append(lines, s.line())
			}
			if !slices.Equal(lines, c.want) {
				t.Errorf("\n got %q\nwant %q", lines, c.want)
			}
		})
	}
}
