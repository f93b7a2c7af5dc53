package intunewin

import (
	"archive/zip"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
)

// A foreign container is what another tool may write: this is none of the
// package's code, but the format with archive/zip and crypto/aes alone. The
// setup folder is deflated, has folders as entries and names with UTF-8 flags;
// Detection.xml has a byte-order mark, a declaration, its own order and fields
// nobody knows.
type foreign struct {
	setup    string // as Detection.xml names it
	fileName string // of the encrypted content
	method   uint16 // of the setup folder's entries
	prefix   string // before the XML
	more     string // unknown elements
	reversed bool   // Detection.xml comes first
}

func (c foreign) write(t *testing.T) []byte {
	t.Helper()
	inner := c.inner(t)
	key, macKey, iv := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32), bytes.Repeat([]byte{9}, 16)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	pad := 16 - len(inner)%16
	text := append(bytes.Clone(inner), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	mac := hmac.New(sha256.New, macKey)
	mac.Write(iv)
	mac.Write(text)
	content := append(append(mac.Sum(nil), iv...), text...)
	sum := sha256.Sum256(inner)
	b64 := base64.StdEncoding.EncodeToString
	xml := c.prefix + fmt.Sprintf("<ApplicationInfo ToolVersion=\"1.4.0.0\">\n<EncryptionInfo><FileDigestAlgorithm>SHA256</FileDigestAlgorithm><FileDigest>%s</FileDigest>"+
		"<ProfileIdentifier>ProfileVersion1</ProfileIdentifier><Mac>%s</Mac><InitializationVector>%s</InitializationVector><MacKey>%s</MacKey><EncryptionKey>%s</EncryptionKey></EncryptionInfo>\n"+
		"<SetupFile>%s</SetupFile><FileName>%s</FileName>%s<UnencryptedContentSize>%d</UnencryptedContentSize><Name>Fremdes</Name></ApplicationInfo>",
		b64(sum[:]), b64(mac.Sum(nil)), b64(iv), b64(macKey), b64(key), c.setup, c.fileName, c.more, len(inner))
	where := "IntuneWinPackage/Contents/" + c.fileName
	order := []string{where, detectionPath}
	if c.reversed {
		order = []string{detectionPath, where}
	}
	return outer(t, zip.Store, map[string][]byte{where: content, detectionPath: []byte(xml)}, order...)
}

// foreignSetup is the text of the setup file.
var foreignSetup = strings.Repeat("rem a setup file that deflates well\r\n", 3000)

func (c foreign) inner(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range []struct{ name, text string }{
		{"scripts/", ""}, {"scripts/Größe prüfen.ps1", "exit 0"}, {"scripts/install.cmd", foreignSetup}, {"setup.msi", "x"},
	} {
		method := c.method
		if e.text == "" {
			method = zip.Store
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: e.name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestForeignContainers(t *testing.T) {
	for name, c := range map[string]foreign{
		"deflated":         {setup: "scripts/install.cmd", fileName: contentName, method: zip.Deflate},
		"stored":           {setup: "scripts/install.cmd", fileName: contentName, method: zip.Store},
		"backslash":        {setup: `scripts\install.cmd`, fileName: contentName, method: zip.Deflate},
		"another name":     {setup: "scripts/install.cmd", fileName: "scripts.intunewin", method: zip.Deflate},
		"byte-order mark":  {setup: "scripts/install.cmd", fileName: contentName, method: zip.Deflate, prefix: "\ufeff"},
		"declaration":      {setup: "scripts/install.cmd", fileName: contentName, method: zip.Deflate, prefix: `<?xml version="1.0" encoding="utf-8"?>`},
		"unknown elements": {setup: "scripts/install.cmd", fileName: contentName, method: zip.Deflate, more: "<InstallExperience>system</InstallExperience>"},
		"other order":      {setup: "scripts/install.cmd", fileName: contentName, method: zip.Deflate, reversed: true},
	} {
		data := c.write(t)
		f, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		in, err := f.Inner().Open("scripts/install.cmd")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if text, err := io.ReadAll(in); err != nil || string(text) != foreignSetup || f.Name != "Fremdes" || f.ToolVersion != "1.4.0.0" {
			t.Errorf("%s: read back %q with %d bytes of setup file (%v)", name, f.Name, len(text), err)
		}
	}
}
