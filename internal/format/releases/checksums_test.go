package releases

import (
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
)

// TestChecksums reads the forms that vendors write, and refuses what states no
// digest of the file, or two.
func TestChecksums(t *testing.T) {
	a, b, long := strings.Repeat("0a", 32), strings.Repeat("0b", 32), strings.Repeat("0c", 64)
	const name = "tool-1.2 x64.exe"
	for what, tt := range map[string]struct{ text, sha256, sha512 string }{
		"sha256sum":            {b + "  other.exe\n" + a + "  " + name + "\n", a, ""},
		"sha256sum, binary":    {a + " *" + name + "\r\n" + b + " *other.exe\r\n", a, ""},
		"sha512sum":            {long + "  " + name + "\n", "", long},
		"both":                 {a + "  " + name + "\n" + long + "  " + name, a, long},
		"upper case":           {strings.ToUpper(a) + "  " + name, a, ""},
		"BSD":                  {"SHA256 (other.exe) = " + b + "\nSHA256 (" + name + ") = " + a + "\nSHA512 (" + name + ") = " + long + "\n", a, long},
		"openssl":              {"SHA2-256(" + name + ")= " + a, a, ""},
		"a path":               {a + "  ./dist/" + name + "\n" + b + "  ./dist/other.exe", a, ""},
		"a path of Windows":    {a + ` *dist\` + name, a, ""},
		"the same twice":       {a + "  x/" + name + "\n" + a + "  y/" + name, a, ""},
		"one digest":           {a + "\n", a, ""},
		"one digest, long":     {"\xef\xbb\xbf" + long, "", long},
		"signed":               {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n" + a + "  " + name + "\n-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n", a, ""},
		"other algorithms too": {"MD5 (" + name + ") = " + a[:32] + "\n" + a[:40] + "  " + name + "\n" + a + "  " + name, a, ""},
		"UTF-16":               {"\xff\xfe" + strings.Join(strings.Split(a, ""), "\x00") + "\x00", a, ""},

		"nothing":           {"", "", ""},
		"of another file":   {a + "  other.exe\n", "", ""},
		"of a longer name":  {a + "  my-" + name + "\n" + a + "  " + name + ".sig\n", "", ""},
		"of another case":   {a + "  " + strings.ToUpper(name), "", ""},
		"MD5 only":          {a[:32] + "  " + name, "", ""},
		"between the two":   {long[:96] + "  " + name, "", ""},
		"two digests":       {a + "  x64/" + name + "\n" + b + "  arm64/" + name, "", ""},
		"two lone digests":  {a + "\n" + b, "", ""},
		"a page":            {"<!DOCTYPE html><title>" + name + "</title>", "", ""},
		"no hexadecimal":    {strings.Repeat("0g", 32) + "  " + name, "", ""},
		"a cut off digest":  {a[:63] + "  " + name, "", ""},
		"too much of it":    {a + "  " + name + "\n" + strings.Repeat("#", maxManifest), "", ""},
		"an escaped name":   {`\` + a + "  " + name, "", ""},
		"a name of nothing": {a + "  \n" + b + "  /", "", ""},
	} {
		sum, sum512, err := Checksums([]byte(tt.text), name)
		want := fleet.Digest("")
		if tt.sha256 != "" {
			want = fleet.Digest("sha256:" + tt.sha256)
		}
		if sum != want || sum512 != tt.sha512 || (err == nil) != (tt.sha256+tt.sha512 != "") {
			t.Errorf("%s: %q, %q, %v", what, sum, sum512, err)
		}
	}
	if sum, _, err := Checksums([]byte(a+"  x\n"+b+"  dir/"), ""); err == nil {
		t.Errorf("a download without a name has the digest %s", sum)
	}
}

func FuzzChecksums(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	f.Add([]byte(sum+" *dist/tool.exe\n"), "tool.exe")
	f.Add([]byte("SHA512 (tool.exe) = "+sum+sum), "tool.exe")
	f.Add([]byte(sum), "")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		short, long, err := Checksums(data, name)
		if (err == nil) != (short != "" || long != "") {
			t.Fatalf("%q, %q and the error %v", short, long, err)
		}
		if short != "" && !short.Valid() || long != "" && len(long) != 128 {
			t.Fatalf("digests that are none: %q, %q", short, long)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Fatalf("the error has %d bytes", len(err.Error()))
		}
	})
}
