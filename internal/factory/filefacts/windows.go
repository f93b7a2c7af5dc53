package filefacts

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/authenticode"
	"github.com/packmill/packmill/internal/format/pe"
	"github.com/packmill/packmill/internal/format/sip"
)

func readPE(f *found, r io.ReaderAt, size int64) error {
	img, err := pe.Read(r, size)
	if err != nil {
		return err
	}
	out := f.out
	out.Type, out.Platform = "exe", "windows"
	out.PE = &img.Facts
	out.Product, out.Publisher = cmp.Or(img.Facts.ProductName, img.Description), img.Company
	out.Version = cmp.Or(stated(img.Facts.ProductVersion), stated(img.Facts.FileVersion))
	// The bootstrap of an installer is often of another machine than what it
	// installs; vendors tell that in the name.
	out.Arch = cmp.Or(archIn(out.Name), img.Facts.Machine)
	f.madeBy(img)
	f.fact("machine", img.Facts.Machine)
	f.fact("file version", img.Facts.FileVersion)
	f.fact("product version", img.Facts.ProductVersion)
	f.fact("description", img.Description)
	f.fact("copyright", img.Copyright)
	f.fact("original name", img.OriginalName)
	f.fact("asks for", img.Execution)
	f.fact("runs on", yes(img.DotNet, ".NET"))
	f.signed(img.Signature, authenticode.Sum(img.Digest))
	add := f.list("Sections", "name", "offset", "size")
	for _, s := range img.Sections {
		add(s.Name, fmt.Sprintf("%#x", s.Offset), fmt.Sprint(s.Size))
	}
	return nil
}

// madeBy takes in what made an installer. What nothing tells is a program that is
// put in place, unless its words say that it installs something.
func (f *found) madeBy(img *pe.File) {
	out := f.out
	kind := img.Installer.Kind
	if kind == fleet.InstallerNone {
		names := strings.ToLower(out.Name + " " + img.OriginalName)
		about := strings.Fields(strings.ToLower(img.Description))
		if !containsAny(names, wordsOfSetup) && (len(about) == 0 || !containsAny(about[len(about)-1], wordsOfSetup)) {
			out.Type = "portable"
		}
		return
	}
	out.Maker = string(kind)
	switches := kind.Switches()
	out.Silent.Install = switches.Install
	if switches.BySelf {
		out.Silent.Uninstall = switches.Uninstall
	}
	if kind == fleet.InstallerSquirrel {
		out.Scope = "user"
		f.updater("the program", "Squirrel")
	}
	f.fact("maker's version", img.Installer.Version)
	f.fact("bundle id", img.Installer.Bundle)
	f.fact("carries", img.Installer.Payload)
	f.fact("note", switches.Note)
	f.fact("switches by", switches.Source)
}

// wordsOfSetup are parts of what installers are called.
var wordsOfSetup = []string{"setup", "install"}

// stated is a version resource's version without the words that some add to it, ""
// for the one that compilers put there when nobody stated any.
func stated(version string) string {
	words := strings.Fields(version)
	if len(words) == 0 || strings.Trim(words[0], "0.") == "" {
		return ""
	}
	return words[0]
}

// signed names the signer of a Windows file, or says why its signature does not
// hold.
func (f *found) signed(signature []byte, digest authenticode.Digester) {
	if signature == nil {
		return
	}
	f.out.Signer = fleet.SignedBy{}
	// Whose certificate it is, is not asked: no root is compared.
	r, err := authenticode.Verify(signature, digest, authenticode.Options{At: f.at})
	switch {
	case err != nil:
		f.out.Trouble = fmt.Sprintf("the file cannot be compared with the signature: %v", err)
		return
	case !r.Verdict.Holds():
		f.out.Trouble = r.Why.Error()
	}
	f.out.Signer, f.out.Verdict = r.Signer.SignedBy(), string(r.Verdict)
}

func readCabinet(f *found, r io.ReaderAt, size int64) error {
	cab, err := sip.ReadCabinet(r, size)
	if err != nil {
		return err
	}
	f.signed(cab.Signature, authenticode.Sum(cab.Digest))
	return nil
}

// readDocument reads what has no mark of its own: a PowerShell script, by its
// name, or a configuration profile, a binary one or one inside its signer's
// message.
func readDocument(f *found, r io.ReaderAt, size int64) error {
	if !strings.EqualFold(path.Ext(f.out.Name), ".ps1") {
		return readProfile(f, r, size)
	}
	script, err := sip.ReadScript(r, size)
	if err != nil {
		return err
	}
	f.out.Kind, f.out.Platform = "a PowerShell script", "windows"
	f.signed(script.Signature, authenticode.Sum(script.Digest))
	return nil
}
