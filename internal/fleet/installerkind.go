package fleet

// An InstallerKind is what made a Windows installer that is a program. The kinds
// that winget knows too have its words.
type InstallerKind string

// The kinds that are told apart.
const (
	InstallerNSIS             InstallerKind = "nullsoft"
	InstallerInno             InstallerKind = "inno"
	InstallerBurn             InstallerKind = "burn"
	InstallerSquirrel         InstallerKind = "squirrel"
	InstallerInstallShield    InstallerKind = "installShield"    // runs a script of its own
	InstallerInstallShieldMSI InstallerKind = "installShieldMSI" // carries an MSI that it hands to Windows Installer
	InstallerAdvanced         InstallerKind = "advancedInstaller"
	InstallerMSIX             InstallerKind = "msixBootstrap" // carries an MSIX that it hands to Windows
	InstallerSevenZip         InstallerKind = "sevenZipSFX"
	InstallerNone             InstallerKind = "program" // a plain program, or an installer that nothing tells
)

// Switches are the arguments of a silent run that every installer of a kind
// takes. They are proposals: what a vendor's own script does with them shows
// only in a test.
type Switches struct {
	Install string // "" where the kind has none
	// Uninstall are the arguments that remove it silently: of the installer itself
	// where BySelf, else of the program that the installation leaves. "" where the
	// kind has none.
	Uninstall string
	BySelf    bool
	Note      string // what a person should know besides, a sentence or ""
	Source    string // page or file that documents them
}

// Switches are those of a kind, all empty for one that has none or is not known.
func (k InstallerKind) Switches() Switches {
	switch k {
	case InstallerNSIS:
		return Switches{Install: "/S", Uninstall: "/S", Source: "nsis.sourceforge.io/Docs/Chapter3.html, section 3.2",
			Note: "The letter is upper case, and the uninstaller goes on after its process ends."}
	case InstallerInno:
		return Switches{Install: "/SP- /VERYSILENT /SUPPRESSMSGBOXES /NORESTART", Uninstall: "/VERYSILENT /SUPPRESSMSGBOXES /NORESTART",
			Source: "jrsoftware.org/ishelp, \"Setup Command Line Parameters\" and \"Uninstaller Command Line Parameters\""}
	case InstallerBurn:
		return Switches{Install: "/quiet /norestart", Uninstall: "/uninstall /quiet /norestart", BySelf: true,
			Source: "wixtoolset.org, \"Burn command line\""}
	case InstallerSquirrel:
		return Switches{Install: "--silent", Uninstall: "--uninstall -s",
			Source: "github.com/Squirrel/Squirrel.Windows, specs/Installer.md",
			Note:   "It installs for one user, and Update.exe in the application's folder removes it."}
	case InstallerInstallShield:
		return Switches{Install: "/s", Source: "docs.revenera.com, \"Setup.exe and Update.exe Command-Line Parameters\"",
			Note: "A script of InstallShield runs silently only with a response file, which /r records."}
	case InstallerInstallShieldMSI:
		return Switches{Install: `/s /v"/qn /norestart"`, Uninstall: `/s /x /v"/qn /norestart"`, BySelf: true,
			Source: "docs.revenera.com, \"Setup.exe and Update.exe Command-Line Parameters\""}
	case InstallerAdvanced:
		return Switches{Install: "/exenoui /qn /norestart", Source: "advancedinstaller.com/user-guide/exe-setup-file.html",
			Note: "It carries an MSI, whose product code removes it."}
	case InstallerMSIX:
		return Switches{Note: "It carries an MSIX, which installs without the program around it."}
	case InstallerSevenZip:
		return Switches{Install: "-y", Source: "7-zip.org, LZMA SDK, DOC/installer.txt",
			Note: "It only unpacks silently: what it then runs may ask."}
	default:
		return Switches{}
	}
}
