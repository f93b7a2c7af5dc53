package cli

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Of a container that somebody else made, verify judges the format, unpacks
// what follows it, and names the field that is wrong in what does not.
func TestVerifyContainer(t *testing.T) {
	vector, err := os.ReadFile(filepath.FromSlash("../format/intunewin/testdata/vector.intunewin"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		got, stdout, stderr := run(t, nil, append([]string{"--repo", dir, "verify"}, args...)...)
		if got != code {
			t.Fatalf("%q: exit code %d, want %d\n%s%s", args, got, code, stdout, stderr)
		}
		return stdout, stderr
	}
	good, folder := put("good.intunewin", vector), filepath.Join(dir, "setup")
	out, _ := want(0, "--container", good, "--unpack", folder)
	for _, text := range []string{"install.cmd", "1.8.7.0", "142 bytes", "not asked"} {
		if !strings.Contains(out, text) {
			t.Errorf("it does not say %q:\n%s", text, out)
		}
	}
	if text, err := os.ReadFile(filepath.Join(folder, "install.cmd")); err != nil || string(text) != "@echo off\r\nexit /b 0\r\n" {
		t.Errorf("unpacked %q (%v)", text, err)
	}
	out, _ = want(0, "--container", good, "--format", "json")
	checkDocument(t, "container", out)
	want(2, "--container", good, "--unpack", folder) // which is there
	want(2, "--container", good, "--key", "x")
	want(2, good, "--unpack", folder+"2")
	want(2, "--container", dir)
	want(2, "--container", filepath.Join(dir, "none"))
	want(2, "--container", put("page", []byte("<!DOCTYPE html>")))

	for field, c := range map[string]struct {
		old, new string
		code     int
	}{
		"UnencryptedContentSize": {">142<", ">141<", 3},
		"FileName":               {">IntunePackage.intunewin<", ">IntunePackage.intuneWin<", 2},
		"SetupFile":              {"<SetupFile>install.cmd", "<SetupFile>Install.exe", 2},
		"EncryptionKey":          {"AAECAwQF", "BAECAwQF", 3},
		"MacKey":                 {"ICEiIyQl", "JCEiIyQl", 3},
		"InitializationVector":   {"QEFCQ0RF", "REFCQ0RF", 3},
		"Mac ":                   {"cspv1Miq", "dspv1Miq", 3},
		"ProfileIdentifier":      {"ProfileVersion1", "ProfileVersion2", 2},
		"FileDigest ":            {"wtbQ1IYd", "xtbQ1IYd", 3},
		"FileDigestAlgorithm":    {">SHA256<", ">SHA512<", 2},
	} {
		damaged := remade(t, vector, c.old, c.new)
		_, told := want(c.code, "--container", put("damaged.intunewin", damaged), "--unpack", filepath.Join(dir, "never"))
		if !strings.Contains(told, field) {
			t.Errorf("%s damaged: %s", field, told)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "never")); !os.IsNotExist(err) {
		t.Errorf("a damaged container made a folder (%v)", err)
	}
}

// remade is the container with one text of Detection.xml replaced, in a zip
// that states the new text's length and checksum.
func remade(t *testing.T, container []byte, old, new string) []byte {
	t.Helper()
	if bytes.Count(container, []byte(old)) != 1 {
		t.Fatalf("%q stands %d times in the container", old, bytes.Count(container, []byte(old)))
	}
	return rezip(t, container, func(name string, data []byte) []byte {
		if strings.HasSuffix(name, "Detection.xml") {
			return bytes.Replace(data, []byte(old), []byte(new), 1)
		}
		return data
	})
}

// rezip writes a zip anew, stored, with every entry's bytes changed by change.
func rezip(t *testing.T, data []byte, change func(name string, data []byte) []byte) []byte {
	t.Helper()
	from, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	to := zip.NewWriter(&out)
	for _, e := range from.File {
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		w, err := to.CreateHeader(&zip.FileHeader{Name: e.Name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(change(e.Name, text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
