package msi

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/packmill/packmill/internal/testreq"
)

// A recipe is an MSI that wixl builds and msibuild finishes: wixl knows neither
// every table nor every code page.
type recipe struct {
	product  string // attributes of Product
	pkg      string // attributes of Package
	body     string
	arch     string
	language string   // its ANSI code page is that of the texts as they are stored
	page     int      // put into the string pool, which wixl leaves at 0
	sql      []string // statements, after the rest
}

// main is a component with a file, in a folder below the given system folder.
func mainIn(folder, attributes string, inside ...string) string {
	return `<Media Id="1" Cabinet="app.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="` + folder + `"><Directory Id="INSTALLDIR" Name="Widget">
<Component Id="Main" Guid="{0E5B1C5E-2D5F-4E52-9F0B-7D6C2B1A9E33}"` + attributes + `>
<File Id="App" Name="application-long-name.exe" Source="app.exe" KeyPath="yes"/>` + strings.Join(inside, "\n") + `</Component>
</Directory></Directory></Directory>
<Feature Id="All" Level="1" Title="Everything"><ComponentRef Id="Main"/></Feature>`
}

func insert(table string, columns, values string) string {
	return fmt.Sprintf("INSERT INTO `%s` (`%s`) VALUES (%s)", table, strings.ReplaceAll(columns, ",", "`,`"), values)
}

const upgradeCode = "{B1D2B6C4-3E9A-4F5D-8A55-3C7B1A7F9C02}"

// recipes are the MSIs that the reader is compared on. Together they have every
// table that wixl writes, and rows in each of these.
func recipes() map[string]recipe {
	many := strings.Builder{}
	for i := range 22_100 { // 66,300 texts: numbers of three bytes
		fmt.Fprintf(&many, "<RegistryValue Root=\"HKLM\" Key=\"k\" Name=\"name %d\" Type=\"string\" Value=\"value %d\"/>\n", i, i)
	}
	return map[string]recipe{
		"service": {arch: "x64", product: `Name="Tjänst"`, pkg: `InstallScope="perMachine" Keywords="a,b" Comments="Über alles" SummaryCodepage="1252"`,
			body: mainIn("ProgramFiles64Folder", ` Win64="yes"`, `<ServiceInstall Id="Svc" Name="tjanst" DisplayName="Tjänsten" Description="Serves" Type="ownProcess" Start="auto" ErrorControl="normal" Account="NT AUTHORITY\LocalService" Arguments="-run" Vital="yes" Interactive="no"><ServiceDependency Id="Tcpip"/><ServiceDependency Id="net" Group="yes"/></ServiceInstall>
<ServiceControl Id="Ctl" Name="tjanst" Start="install" Stop="both" Remove="uninstall" Wait="yes"/>`), sql: []string{
				insert("ServiceInstall", "ServiceInstall,Name,ServiceType,StartType,ErrorControl,Component_", `'Second', 'second', 288, 3, 32771, 'Main'`)}},
		"user": {arch: "x86", pkg: `InstallScope="perUser"`, body: mainIn("LocalAppDataFolder", "")},
		"either": {arch: "x64", body: `<Property Id="ALLUSERS" Value="2"/><Property Id="MSIINSTALLPERUSER" Value="1"/>` +
			mainIn("ProgramFiles64Folder", ` Win64="yes"`)},
		"registry": {arch: "x86", pkg: `InstallScope="perMachine"`, body: registryBody,
			sql: []string{
				insert("Registry", "Registry,Root,Key,Name,Value,Component_", `'users', 3, 'k', 'n', '#%%TEMP%', 'R32'`),
				insert("Registry", "Registry,Root,Key,Name,Value,Component_", `'either', -1, 'k', 'n', '#xDEADBEEF', 'R64'`),
				insert("Registry", "Registry,Root,Key,Name,Component_", `'make', 2, 'made', '+', 'R64'`),
				insert("Registry", "Registry,Root,Key,Name,Component_", `'drop', 2, 'dropped', '-', 'R64'`),
				insert("Component", "Component,Directory_,Attributes,Condition", `'Bare', 'INSTALLDIR', 216, 'VersionNT64'`),
				insert("Registry", "Registry,Root,Key,Name,Value,Component_", `'multi', 2, 'k', 'm', 'a[~]b', 'R64'`),
			}},
		"features": {arch: "x64", body: featuresBody()},
		"upgrade": {arch: "x64", product: `Codepage="1252"`, body: `<Upgrade Id="` + upgradeCode + `">
<UpgradeVersion Minimum="1.0.0" IncludeMinimum="yes" Maximum="2.3.4" IncludeMaximum="no" Property="OLDER"/>
<UpgradeVersion Minimum="2.3.4" IncludeMinimum="no" OnlyDetect="yes" Property="NEWER"/></Upgrade>
<Upgrade Id="{11111111-2222-3333-4444-555555555555}"><UpgradeVersion Minimum="0.0.0" Maximum="9.0.0" IncludeMaximum="yes" Property="OTHER"/></Upgrade>
<Condition Message="Windows 10 or later.">VersionNT &gt;= 1000 OR Installed</Condition>
<Condition Message="No &quot;S&quot; mode, naïve one.">NOT SMODE</Condition>` + mainIn("ProgramFiles64Folder", ""), sql: []string{
			insert("Upgrade", "UpgradeCode,VersionMax,Language,Attributes,Remove,ActionProperty", "'"+upgradeCode+"', '1.0.0', '1031', 1541, 'All', 'RARE'")}},
		"major": {arch: "x86", body: `<MajorUpgrade DowngradeErrorMessage="A newer version is installed."/>` + mainIn("ProgramFilesFolder", "")},
		"actions": {arch: "x64", body: `<Binary Id="helper" SourceFile="app.exe"/><CustomAction Id="Dll" BinaryKey="helper" DllEntry="Entry" Execute="immediate" Return="ignore"/>` +
			mainIn("ProgramFiles64Folder", "") + `<InstallExecuteSequence><Custom Action="Dll" After="InstallFiles">NOT Installed</Custom></InstallExecuteSequence>`,
			sql: []string{
				insert("CustomAction", "Action,Type,Source,Target", `'Setup', 3090, 'App', '/quiet'`),
				insert("CustomAction", "Action,Type,Source,Target", `'Undo', 3346, 'App', '/undo'`),
				insert("CustomAction", "Action,Type,Target", `'Inline', 38, 'MsgBox 1'`),
				insert("CustomAction", "Action,Type,Source,Target", `'Folder', 35, 'INSTALLDIR', '[TARGETDIR]x'`),
				insert("CustomAction", "Action,Type,Source,Target", `'Secret', 8243, 'PASSWORD', 'hunter2'`),
				insert("CustomAction", "Action,Type,Source,Target", `'Stop', 19, '', 'No.'`),
			}},
		"shortcuts": {arch: "x86", body: `<Icon Id="app.ico" SourceFile="note.txt"/><Property Id="ARPPRODUCTICON" Value="app.ico"/>
<Property Id="FOUND"><RegistrySearch Id="find" Root="HKLM" Key="Software\X" Name="Path" Type="raw"/></Property>` + shortcutsBody,
			sql: []string{insert("Shortcut", "Shortcut,Directory_,Name,Component_,Target,Arguments", `'direct', 'MENU', 'DIRECT~1|Direct start', 'Main', '[#App]', '--fast'`),
				insert("Shortcut", "Shortcut,Directory_,Name,Component_,Target", `'folder', 'MENU', 'Docs', 'Main', '[INSTALLDIR]docs\index.html'`)}},
		"many": {arch: "x64", body: mainIn("ProgramFiles64Folder", "", many.String())},
		"russian": {arch: "x64", language: "ru_RU", page: 1251, product: `Name="Привет, мир"`, pkg: `SummaryCodepage="1251" Comments="Проверка"`,
			body: `<Property Id="ARPCONTACT" Value="Ёлка"/>` + mainIn("ProgramFiles64Folder", "")},
		"japanese": {arch: "x86", language: "ja_JP", page: 932, product: `Name="日本語ソフト"`, body: mainIn("ProgramFilesFolder", "")},
		"polish":   {arch: "x86", language: "pl_PL", page: 1250, product: `Name="Łódź"`, body: mainIn("ProgramFilesFolder", "")},
		"unicode": {arch: "x64", page: 65001, body: mainIn("ProgramFiles64Folder", ""), sql: []string{
			insert("Property", "Property,Value", `'MIXED', 'Größe Привет 日本語 🙂'`)}},
		"texts": {arch: "x64", body: mainIn("ProgramFiles64Folder", ""), sql: []string{
			"CREATE TABLE `Environment` (`Environment` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL LOCALIZABLE, `Value` CHAR(255) LOCALIZABLE, `Component_` CHAR(72) NOT NULL PRIMARY KEY `Environment`)",
			insert("Environment", "Environment,Name,Value,Component_", `'env', '=-*PATH', '[~];[INSTALLDIR]', 'Main'`),
			insert("Property", "Property,Value", "'LINES', 'one\r\ntwo\tthree\nfour'"),
			insert("Property", "Property,Value", "'LONG', '"+strings.Repeat("0123456789abcdef", 4_500)+"'"),
			"CREATE TABLE `Numbers` (`Key` INT NOT NULL, `Long` LONG, `Short` INT PRIMARY KEY `Key`)",
			insert("Numbers", "Key,Long,Short", "-32767, 2147483647, 32767"),
			insert("Numbers", "Key,Long", "0, -2147483647"),
			insert("Numbers", "Key,Short", "1, 0"),
		}},
	}
}

const registryBody = `<Media Id="1" Cabinet="app.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFilesFolder"><Directory Id="INSTALLDIR" Name="Widget">
<Component Id="R32" Guid="{0E5B1C5E-2D5F-4E52-9F0B-7D6C2B1A9E33}">
<RegistryKey Root="HKLM" Key="Software\Widget"><RegistryValue Id="text" Name="s" Type="string" Value="text" KeyPath="yes"/>
<RegistryValue Id="number" Name="n" Type="integer" Value="42"/></RegistryKey>
<RegistryValue Id="hash" Root="HKCU" Key="Software\X" Name="u" Type="string" Value="#1"/>
<RegistryValue Id="class" Root="HKCR" Key=".wdg" Type="string" Value="Widget.File"/>
<CreateFolder/><RemoveFolder Id="rf" On="uninstall"/></Component>
<Component Id="R64" Guid="{0E5B1C5E-2D5F-4E52-9F0B-7D6C2B1A9E34}" Win64="yes">
<RegistryValue Id="wide" Root="HKLM" Key="Software\Wide" Name="w" Type="string" Value="[INSTALLDIR]"/></Component>
</Directory></Directory></Directory>
<Feature Id="All" Level="1"><ComponentRef Id="R32"/><ComponentRef Id="R64"/></Feature>`

const shortcutsBody = `<Media Id="1" Cabinet="app.cab" EmbedCab="yes"/><Media Id="2" Cabinet="beside.cab" EmbedCab="no"/>
<Directory Id="TARGETDIR" Name="SourceDir">
<Directory Id="ProgramMenuFolder"><Directory Id="MENU" Name="Widgets"/></Directory>
<Directory Id="ProgramFilesFolder"><Directory Id="INSTALLDIR" Name="Widget">
<Component Id="Main" Guid="{0E5B1C5E-2D5F-4E52-9F0B-7D6C2B1A9E33}"><File Id="App" Name="application-long-name.exe" Source="app.exe" KeyPath="yes">
<Shortcut Id="adv" Directory="MENU" Name="Widget" Advertise="yes" Icon="app.ico" WorkingDirectory="INSTALLDIR"/></File></Component>
<Component Id="More" Guid="{0E5B1C5E-2D5F-4E52-9F0B-7D6C2B1A9E35}"><File Id="Note" Name="note.txt" Source="note.txt" DiskId="2" KeyPath="yes"/></Component>
</Directory></Directory></Directory>
<Feature Id="All" Level="1"><ComponentRef Id="Main"/><ComponentRef Id="More"/></Feature>`

// featuresBody is a tree of folders, components and features.
func featuresBody() string {
	var dirs, features strings.Builder
	for i := range 12 {
		fmt.Fprintf(&dirs, `<Directory Id="D%d" Name="sub %d"><Component Id="C%d" Guid="*" Win64="yes"><File Id="F%d" Name="note %d.txt" Source="note.txt" KeyPath="yes"/></Component>`, i, i, i, i, i)
		fmt.Fprintf(&features, `<Feature Id="Feature%d" Level="%d" Title="Part %d"><ComponentRef Id="C%d"/>`, i, i%3, i, i)
	}
	return `<Media Id="1" Cabinet="app.cab" EmbedCab="yes"/><Property Id="CHOSEN" Value="D:\data\"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="CommonAppDataFolder"><Directory Id="CHOSEN" Name="ignored"><Component Id="Data" Guid="*"><File Id="Data" Name="data.txt" Source="note.txt" KeyPath="yes"/></Component></Directory></Directory>
<Directory Id="ProgramFiles64Folder">` + dirs.String() + strings.Repeat("</Directory>", 12) + `</Directory></Directory>
<Feature Id="Root" Level="1"><ComponentRef Id="Data"/></Feature>` + features.String() + strings.Repeat("</Feature>", 12)
}

// built are the MSIs of this test run by name: building the large one takes
// seconds, and several tests read it.
type built struct {
	mu   sync.Mutex
	data map[string][]byte
}

var msis = built{data: map[string][]byte{}}

// build makes a recipe's MSI in a folder of its own and returns its path.
func build(t testing.TB, name string) string {
	t.Helper()
	wixl, msibuild := testreq.Program(t, "wixl"), testreq.Program(t, "msibuild")
	path := filepath.Join(t.TempDir(), name+".msi")
	msis.mu.Lock()
	defer msis.mu.Unlock()
	if msis.data[name] == nil {
		msis.data[name] = recipes()[name].build(t, wixl, msibuild, path)
	}
	if err := os.WriteFile(path, msis.data[name], 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (r recipe) build(t testing.TB, wixl, msibuild, path string) []byte {
	t.Helper()
	dir := filepath.Dir(path)
	name := r.product
	if !strings.Contains(name, "Name=") {
		name += ` Name="Widget"`
	}
	source := `<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi"><Product Id="{6F4B2D0E-6C4B-4C0B-9B57-0C0D7D1F4E11}" ` + name + ` Language="1033" Version="2.3.4" Manufacturer="Example AS" UpgradeCode="` + upgradeCode + `">
<Package InstallerVersion="500" Compressed="yes" Manufacturer="Example AS" Description="Does things" ` + r.pkg + `/>
` + r.body + `</Product></Wix>`
	for file, text := range map[string]string{"in.wxs": source, "note.txt": "hello\n", "app.exe": strings.Repeat("MZ is not all of it. ", 500)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.run(t, dir, wixl, "-a", r.arch, "-o", path, "in.wxs")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if r.page != 0 {
		data = withPage(t, data, r.page)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, statement := range r.sql {
		r.run(t, dir, msibuild, path, "-q", statement)
	}
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return data
}

func (r recipe) run(t testing.TB, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "WINDOWS_LANGUAGE="+r.language)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
	}
}

// withPage puts a code page into the head of the string pool.
func withPage(t testing.TB, data []byte, page int) []byte {
	t.Helper()
	c, err := openContainer(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := c.readAll(tableStream("_StringPool"), maxPool)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, pool[:min(len(pool), 64)])
	if at < 0 {
		t.Fatal("the string pool is not where it should be")
	}
	data[at], data[at+1] = byte(page), byte(page>>8)
	return data
}
