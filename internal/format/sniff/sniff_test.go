package sniff

import (
	"strings"
	"testing"
)

func TestBytes(t *testing.T) {
	tar := make([]byte, 512)
	copy(tar[257:], "ustar\x0000")
	for _, c := range []struct {
		head string
		want Kind
	}{
		{"", Empty},
		{"MZ\x90\x00", PE},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", OLE},
		{"!<arch>\ndebian-binary   1342943816", Deb},
		{"!<arch>\nfile.o/", Unknown},
		{"PK\x03\x04\x14", Zip},
		{"\x1f\x8b\x08", Gzip},
		{"\xfd7zXZ\x00\x00", XZ},
		{"BZh91AY", Bzip2},
		{"MSCF\x00\x00\x00\x00\x40", Cab},
		{"7z\xbc\xaf\x27\x1c\x00\x04", Seven},
		{"\x28\xb5\x2f\xfd", Zstd},
		{"xar!\x00\x1c", Xar},
		{"\x7fELF\x02", ELF},
		{"\xcf\xfa\xed\xfe\x07", MachO},
		{string(tar), Tar},
		{"#!/bin/sh\n", Script},
		{"<!DOCTYPE html><html>", HTML},
		{"\ufeff\r\n  <HTML lang=en>", HTML},
		{"<!-- page --><html>", HTML},
		{"<!-- a comment without end", HTML},
		{`<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN">`, HTML},
		{`<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>`, XML},
		{`{"error": "not found"}`, JSON},
		{"Not Found", Unknown},
		{"M", Unknown},
	} {
		if got := Bytes([]byte(c.head)); got != c.want {
			t.Errorf("%.30q is %q, want %q", c.head, got, c.want)
		}
	}
}

func TestTail(t *testing.T) {
	tail := "koly" + strings.Repeat("\x00", 508)
	if got := Tail(Unknown, []byte(tail)); got != DMG {
		t.Errorf("%q", got)
	}
	if got := Tail(Zip, []byte("koly")); got != Zip {
		t.Errorf("%q", got)
	}
}

func TestFile(t *testing.T) {
	image := "x\x01" + strings.Repeat("z", 5000) + "koly" + strings.Repeat("\x00", 508)
	for data, want := range map[string]Kind{
		image: DMG, image[len(image)-512:]: DMG, image[:5200]: Unknown, "": Empty, "MZ": PE, "MZ" + strings.Repeat("\x00", 600): PE,
	} {
		got, err := File(strings.NewReader(data), int64(len(data)))
		if err != nil || got != want {
			t.Errorf("%.10q of %d bytes: %q, %v, want %q", data, len(data), got, err, want)
		}
	}
	if DMG.Fits("pkg") || DMG.Fits("portable") || !strings.Contains(DMG.Advice(), ".pkg") || PE.Advice() != "" {
		t.Error("a disk image is taken, or nothing is said of what to do with it")
	}
	if _, err := File(strings.NewReader("MZ"), 4000); err != nil {
		t.Errorf("a file that is shorter than stated: %v", err)
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		typ  string
		want bool
	}{
		{PE, "exe", true}, {HTML, "exe", false}, {OLE, "msi", true}, {PE, "msi", false},
		{Deb, "deb", true}, {Zip, "msix", true}, {Xar, "pkg", true}, {PE, "portable", true},
		{HTML, "portable", false}, {HTML, "script", false}, {Empty, "script", false}, {Unknown, "script", true},
	} {
		if got := c.kind.Fits(c.typ); got != c.want {
			t.Errorf("%q as %s: %v", c.kind, c.typ, got)
		}
	}
}

func FuzzBytes(f *testing.F) {
	f.Add([]byte("<!-- x --><html"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if got := Bytes(head); (got == Empty) != (len(head) == 0) {
			t.Fatalf("%q", got)
		}
	})
}
