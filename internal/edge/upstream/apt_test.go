package upstream

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParseRelease(t *testing.T) {
	text := "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: stable\nAcquire-By-Hash: yes\nMD5Sum:\n " + sum[:32] + " 10 main/binary-amd64/Packages\n" +
		"SHA256:\n " + strings.ToUpper(sum) + " 10 main/binary-amd64/Packages\r\n " + sum + " 20 main/binary-amd64/Packages.gz\nSHA512:\n " + sum + sum + " 10 x\n-----BEGIN PGP SIGNATURE-----\n\niQ\n"
	sums, byHash := parseRelease([]byte(text))
	if !byHash || len(sums) != 2 || sums["main/binary-amd64/Packages"] != sum {
		t.Errorf("by hash %v, %v", byHash, sums)
	}
	if sums, byHash := parseRelease([]byte("<html>")); byHash || len(sums) != 0 {
		t.Errorf("a page reads as %v", sums)
	}
}

func TestParsePackages(t *testing.T) {
	stanza := func(name, version, file, size, digest string) string {
		return "Package: " + name + "\nVersion: " + version + "\nDescription: x\n long text\nFilename: " + file + "\nSize: " + size + "\nSHA256: " + digest + "\n\n"
	}
	text := stanza("tool", "1.0", "pool/t/tool_1.0_amd64.deb", "10", sum) + stanza("tool", "1.1", "./pool/tool_1.1_amd64.deb", "11", sum) +
		stanza("up", "1.0", "../../etc/passwd", "10", sum) + stanza("root", "1.0", "/etc/passwd", "10", sum) + stanza("empty", "1.0", "pool/x.deb", "0", sum) +
		stanza("unsure", "1.0", "pool/x.deb", "10", "abc") + strings.TrimSuffix(stanza("last", "2.0", "pool/last.deb", "12", sum), "\n\n")
	got, err := parsePackages(strings.NewReader(text), "http://a.example/debian")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(got["tool"]) != 2 || len(got["last"]) != 1 {
		t.Fatalf("got %v", got)
	}
	want := debFile{"1.1", "http://a.example/debian", "pool/tool_1.1_amd64.deb", 11, fleet.Digest("sha256:" + sum)}
	if got["tool"][1] != want {
		t.Errorf("got %+v", got["tool"][1])
	}
	if _, err := parsePackages(strings.NewReader("Provides: "+strings.Repeat("x", 5<<20)), ""); err == nil {
		t.Error("a line of 5 MiB passed")
	}
}

func FuzzIndexes(f *testing.F) {
	f.Add([]byte("Package: a\nVersion: 1\nFilename: pool/a.deb\nSize: 1\nSHA256: " + sum + "\n\n"))
	f.Add([]byte("SHA256:\n " + sum + " 1 main/binary-amd64/Packages\n"))
	f.Add([]byte("Types: deb\nURIs: http://a\nSuites: b\n c\nComponents: main\n\n x\n"))
	f.Add([]byte("deb [a] http://b c d\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parseRelease(data)
		packages, err := parsePackages(strings.NewReader(string(data)), "http://a")
		for name, files := range packages {
			for _, file := range files {
				if err == nil && (name == "" || file.size <= 0 || !file.sha256.Valid() || strings.Contains("/"+file.file+"/", "/../") || strings.HasPrefix(file.file, "/")) {
					t.Errorf("%q: %+v", name, file)
				}
			}
		}
		parseDeb822(string(data))
		parseOneLine(string(data))
		npmrcRegistry(string(data))
	})
}
