package filefacts

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/packmill/packmill/internal/format/authenticode"
	"github.com/packmill/packmill/internal/format/msi"
)

func readMSI(f *found, r io.ReaderAt, size int64) error {
	pkg, err := msi.Read(r, size)
	if err != nil {
		return err
	}
	out := f.out
	out.Type, out.Platform = "msi", "windows"
	out.MSI = &pkg.Facts
	out.Product, out.Publisher, out.Version = pkg.ProductName, pkg.Publisher, pkg.Facts.ProductVersion
	out.Arch = cmp.Or(pkg.Arch, archIn(out.Name))
	out.Scope = pkg.Scope().Default
	f.fact("product code", pkg.Facts.ProductCode)
	f.fact("upgrade code", pkg.Facts.UpgradeCode)
	f.fact("package code", pkg.PackageCode)
	f.fact("made with", pkg.Summary.Application)
	f.fact("languages", languages(pkg.Summary.Languages))
	f.fact("needs installer", installerVersion(pkg.Summary.Pages))
	f.fact("embedded transforms", strings.Join(pkg.Storages(), ", "))
	f.signed(pkg.Signature, authenticode.Sum(pkg.Digest))
	for _, part := range []func(*found, *msi.File) error{
		upgrades, restarts, conditions, services, actions, features, registry, shortcuts, installedFiles, cabinets,
	} {
		if err := part(f, pkg); err != nil {
			return err
		}
	}
	return nil
}

// languages are the tags of Windows' language numbers, as far as they are known.
func languages(ids []int) string {
	var out []string
	for _, id := range ids {
		out = append(out, cmp.Or(lcids[id], strconv.Itoa(id)))
	}
	return strings.Join(out, ", ")
}

// lcids are language numbers of installers one meets ([MS-LCID]); 0 is neutral.
var lcids = map[int]string{
	0: "neutral", 1028: "zh-TW", 1029: "cs-CZ", 1030: "da-DK", 1031: "de-DE", 1033: "en-US", 1034: "es-ES", 1035: "fi-FI", 1036: "fr-FR", 1038: "hu-HU",
	1040: "it-IT", 1041: "ja-JP", 1042: "ko-KR", 1043: "nl-NL", 1044: "nb-NO", 1045: "pl-PL", 1046: "pt-BR", 1049: "ru-RU", 1053: "sv-SE", 1055: "tr-TR",
	2052: "zh-CN", 2057: "en-GB", 2070: "pt-PT", 3082: "es-ES",
}

// installerVersion is the Windows Installer that a package needs: 200 is 2.0.
func installerVersion(pages int) string {
	if pages < 100 {
		return ""
	}
	return fmt.Sprintf("%d.%d", pages/100, pages%100/10)
}

func upgrades(f *found, pkg *msi.File) error {
	rows, err := pkg.Upgrades()
	add := f.list("Upgrades", "code", "from", "to", "effect")
	for _, u := range rows {
		if u.UpgradeCode == pkg.Facts.UpgradeCode && !u.OnlyDetect {
			f.out.Replaces = true
		}
		add(u.UpgradeCode, bound(u.VersionMin, u.MinInclusive), bound(u.VersionMax, u.MaxInclusive), cmp.Or(yes(u.OnlyDetect, "detects"), "removes"))
	}
	return err
}

// restarts looks for the actions ForceReboot and ScheduleReboot, and the property
// that forces one (Windows Installer reference, "REBOOT Property").
func restarts(f *found, pkg *msi.File) error {
	f.out.Restarts = strings.HasPrefix(strings.ToUpper(pkg.Properties["REBOOT"]), "F")
	table, err := pkg.Table("InstallExecuteSequence")
	if err != nil || table == nil {
		return err
	}
	action := table.Column("Action")
	for row := range table.Rows() {
		if name := row.Text(action); name == "ForceReboot" || name == "ScheduleReboot" {
			f.out.Restarts = true
		}
	}
	f.fact("restarts", yes(f.out.Restarts, "it asks for a restart"))
	return nil
}

func bound(version string, inclusive bool) string {
	if version == "" {
		return "any"
	}
	return version + yes(inclusive, " inclusive")
}

func conditions(f *found, pkg *msi.File) error {
	rows, err := pkg.LaunchConditions()
	add := f.list("Launch conditions", "condition", "message")
	for _, c := range rows {
		add(c.Condition, c.Message)
	}
	return err
}

func services(f *found, pkg *msi.File) error {
	rows, err := pkg.Services()
	add := f.list("Services", "name", "shown as", "starts", "account", "program")
	for _, s := range rows {
		add(s.Name, s.DisplayName, s.Start, cmp.Or(s.Account, "LocalSystem"), s.Binary)
		f.updater("the service", s.Name)
	}
	return err
}

// actions are those that run code of the package's author: what a reviewer of a
// new package wants to know of.
func actions(f *found, pkg *msi.File) error {
	rows, err := pkg.CustomActions()
	add := f.list("Custom actions that run code", "action", "kind", "runs", "as")
	for _, a := range rows {
		if a.RunsCode() {
			add(a.ID, string(a.Kind), a.Target, cmp.Or(yes(a.NoImpersonate && a.Deferred, "SYSTEM"), "the installing account"))
		}
	}
	return err
}

func features(f *found, pkg *msi.File) error {
	rows, err := pkg.Features()
	add := f.list("Features", "feature", "title", "level")
	for _, x := range rows {
		add(x.ID, x.Title, strconv.Itoa(x.Level))
	}
	return err
}

func registry(f *found, pkg *msi.File) error {
	rows, err := pkg.RegistryValues()
	add := f.list("Registry", "key", "name", "value", "view")
	for _, v := range rows {
		add(v.Root+`\`+v.Key, v.Name, v.Value, cmp.Or(yes(v.Is64, "64"), "32"))
	}
	return err
}

func shortcuts(f *found, pkg *msi.File) error {
	rows, err := pkg.Shortcuts()
	add := f.list("Shortcuts", "name", "in", "starts")
	for _, s := range rows {
		add(s.Name, s.Directory, strings.TrimSpace(s.Target+" "+s.Arguments))
	}
	return err
}

func installedFiles(f *found, pkg *msi.File) error {
	rows, err := pkg.Files()
	add := f.list("Files", "path", "size", "version")
	var total int64
	for _, x := range rows {
		add(x.Path, strconv.FormatInt(x.Size, 10), x.Version)
		f.updater("the file", x.Name)
		total += max(0, min(x.Size, 1<<40))
	}
	f.out.DiskMB = int(min(total, 1<<50)+(1<<20)-1) >> 20
	return err
}

func cabinets(f *found, pkg *msi.File) error {
	rows, err := pkg.Cabinets()
	add := f.list("Cabinets", "name", "size", "place")
	for _, c := range rows {
		add(c.Name, strconv.FormatInt(c.Size, 10), cmp.Or(yes(c.Embedded, "in the package"), "beside the package"))
	}
	return err
}
