package intunewin

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Names and constants of the format.
const (
	contentName   = "IntunePackage.intunewin"
	contentPath   = "IntuneWinPackage/Contents/" + contentName
	detectionPath = "IntuneWinPackage/Metadata/Detection.xml"
	// ToolVersion is the version of the Win32 Content Prep Tool whose output
	// this package equals.
	ToolVersion     = "1.8.7.0"
	profile         = "ProfileVersion1"
	digestAlgorithm = "SHA256"
	maxDetection    = 1 << 20 // bytes of Detection.xml that are read
)

// EncryptionInfo is how the content is encrypted: the fileEncryptionInfo of a
// Graph commit call.
type EncryptionInfo struct {
	EncryptionKey        []byte `json:"encryptionKey"`        // 32 bytes
	MacKey               []byte `json:"macKey"`               // 32 bytes
	InitializationVector []byte `json:"initializationVector"` // 16 bytes
	Mac                  []byte `json:"mac"`                  // 32 bytes, of IV and ciphertext
	ProfileIdentifier    string `json:"profileIdentifier"`    // ProfileVersion1
	FileDigest           []byte `json:"fileDigest"`           // SHA-256 of the plain content
	FileDigestAlgorithm  string `json:"fileDigestAlgorithm"`  // SHA256
}

// MSIInfo is what Detection.xml says of an .msi setup file.
type MSIInfo struct {
	ProductCode           string `xml:"MsiProductCode"`
	ProductVersion        string `xml:"MsiProductVersion"`
	PackageCode           string `xml:"MsiPackageCode"`
	Publisher             string `xml:"MsiPublisher"`
	UpgradeCode           string `xml:"MsiUpgradeCode"`
	ExecutionContext      string `xml:"MsiExecutionContext"` // System, User, Any
	RequiresLogon         bool   `xml:"MsiRequiresLogon"`
	RequiresReboot        bool   `xml:"MsiRequiresReboot"`
	IsMachineInstall      bool   `xml:"MsiIsMachineInstall"`
	IsUserInstall         bool   `xml:"MsiIsUserInstall"`
	IncludesServices      bool   `xml:"MsiIncludesServices"`
	IncludesODBC          bool   `xml:"MsiIncludesODBCDataSource"`
	ContainsSystemReg     bool   `xml:"MsiContainsSystemRegistryKeys"`
	ContainsSystemFolders bool   `xml:"MsiContainsSystemFolders"`
}

// applicationInfo is Detection.xml as it is decoded.
type applicationInfo struct {
	XMLName     xml.Name `xml:"ApplicationInfo"`
	ToolVersion string   `xml:"ToolVersion,attr"`
	Name        string   `xml:"Name"`
	Description string   `xml:"Description"`
	Size        string   `xml:"UnencryptedContentSize"`
	FileName    string   `xml:"FileName"`
	SetupFile   string   `xml:"SetupFile"`
	Encryption  struct {
		EncryptionKey        string `xml:"EncryptionKey"`
		MacKey               string `xml:"MacKey"`
		InitializationVector string `xml:"InitializationVector"`
		Mac                  string `xml:"Mac"`
		ProfileIdentifier    string `xml:"ProfileIdentifier"`
		FileDigest           string `xml:"FileDigest"`
		FileDigestAlgorithm  string `xml:"FileDigestAlgorithm"`
	} `xml:"EncryptionInfo"`
	MSI *MSIInfo `xml:"MsiInfo"`
}

// detectionXML is Detection.xml as Microsoft's tool lays it out: two spaces,
// CRLF, no declaration and no line end after the root. encoding/xml cannot
// write that form.
func detectionXML(p Package, size int64, e EncryptionInfo) []byte {
	x := &xmlWriter{}
	x.open(`ApplicationInfo xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ToolVersion="` + ToolVersion + `"`)
	x.text("Name", p.Name)
	if p.Description != "" {
		x.text("Description", p.Description)
	}
	x.text("UnencryptedContentSize", strconv.FormatInt(size, 10))
	x.text("FileName", contentName)
	x.text("SetupFile", p.SetupFile)
	x.open("EncryptionInfo")
	x.text("EncryptionKey", base64.StdEncoding.EncodeToString(e.EncryptionKey))
	x.text("MacKey", base64.StdEncoding.EncodeToString(e.MacKey))
	x.text("InitializationVector", base64.StdEncoding.EncodeToString(e.InitializationVector))
	x.text("Mac", base64.StdEncoding.EncodeToString(e.Mac))
	x.text("ProfileIdentifier", e.ProfileIdentifier)
	x.text("FileDigest", base64.StdEncoding.EncodeToString(e.FileDigest))
	x.text("FileDigestAlgorithm", e.FileDigestAlgorithm)
	x.close()
	if m := p.MSI; m != nil {
		x.open("MsiInfo")
		x.text("MsiProductCode", m.ProductCode)
		x.text("MsiProductVersion", m.ProductVersion)
		x.text("MsiPackageCode", m.PackageCode)
		x.text("MsiPublisher", m.Publisher)
		x.text("MsiUpgradeCode", m.UpgradeCode)
		x.text("MsiExecutionContext", m.ExecutionContext)
		x.bool("MsiRequiresLogon", m.RequiresLogon)
		x.bool("MsiRequiresReboot", m.RequiresReboot)
		x.bool("MsiIsMachineInstall", m.IsMachineInstall)
		x.bool("MsiIsUserInstall", m.IsUserInstall)
		x.bool("MsiIncludesServices", m.IncludesServices)
		x.bool("MsiIncludesODBCDataSource", m.IncludesODBC)
		x.bool("MsiContainsSystemRegistryKeys", m.ContainsSystemReg)
		x.bool("MsiContainsSystemFolders", m.ContainsSystemFolders)
		x.close()
	}
	x.close()
	return bytes.TrimSuffix(x.b.Bytes(), []byte("\r\n"))
}

type xmlWriter struct {
	b     bytes.Buffer
	stack []string
}

func (x *xmlWriter) indent() { x.b.WriteString(strings.Repeat("  ", len(x.stack))) }

func (x *xmlWriter) open(tag string) {
	x.indent()
	x.b.WriteString("<" + tag + ">\r\n")
	name, _, _ := strings.Cut(tag, " ")
	x.stack = append(x.stack, name)
}

func (x *xmlWriter) close() {
	name := x.stack[len(x.stack)-1]
	x.stack = x.stack[:len(x.stack)-1]
	x.indent()
	x.b.WriteString("</" + name + ">\r\n")
}

func (x *xmlWriter) text(name, value string) {
	x.indent()
	x.b.WriteString("<" + name + ">")
	// EscapeText fails only when the writer does.
	_ = xml.EscapeText(&x.b, []byte(value))
	x.b.WriteString("</" + name + ">\r\n")
}

func (x *xmlWriter) bool(name string, value bool) { x.text(name, strconv.FormatBool(value)) }

// parseDetection decodes and checks Detection.xml.
func parseDetection(data []byte) (*File, error) {
	var info applicationInfo
	if err := xml.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &info); err != nil {
		return nil, invalid("Detection.xml: %w", err)
	}
	f := &File{
		Name: info.Name, Description: info.Description, SetupFile: info.SetupFile,
		ToolVersion: info.ToolVersion, MSI: info.MSI, fileName: info.FileName,
	}
	size, err := strconv.ParseInt(info.Size, 10, 64)
	if err != nil || size < 0 {
		return nil, invalid("Detection.xml: UnencryptedContentSize %q is no size", info.Size)
	}
	f.UnencryptedSize = size
	e := info.Encryption
	f.Encryption.ProfileIdentifier = e.ProfileIdentifier
	f.Encryption.FileDigestAlgorithm = e.FileDigestAlgorithm
	if e.ProfileIdentifier != profile {
		return nil, invalid("Detection.xml: ProfileIdentifier %q is not %q, the one there is", e.ProfileIdentifier, profile)
	}
	if e.FileDigestAlgorithm != digestAlgorithm {
		return nil, invalid("Detection.xml: FileDigestAlgorithm %q is not %q, the one there is", e.FileDigestAlgorithm, digestAlgorithm)
	}
	for _, v := range []struct {
		name, text string
		to         *[]byte
		length     int
	}{
		{"EncryptionKey", e.EncryptionKey, &f.Encryption.EncryptionKey, sha256.Size},
		{"MacKey", e.MacKey, &f.Encryption.MacKey, sha256.Size},
		{"InitializationVector", e.InitializationVector, &f.Encryption.InitializationVector, aes.BlockSize},
		{"Mac", e.Mac, &f.Encryption.Mac, sha256.Size},
		{"FileDigest", e.FileDigest, &f.Encryption.FileDigest, sha256.Size},
	} {
		b, err := base64.StdEncoding.DecodeString(v.text)
		if err != nil || len(b) != v.length {
			return nil, invalid("Detection.xml: %s is not %d bytes in base64", v.name, v.length)
		}
		*v.to = b
	}
	return f, nil
}

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "intunewin.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}

func refused(format string, args ...any) error {
	return &fleet.Error{Op: "intunewin.read", Kind: fleet.Refused, Err: fmt.Errorf(format, args...)}
}
