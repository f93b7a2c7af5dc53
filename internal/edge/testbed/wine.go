package testbed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Wine is the Windows cell: a Wine prefix. It knows installers, registry and
// files as Windows programs use them; it has no services worth the name, no
// drivers, no PowerShell and no 32-bit programs.
type Wine struct{ bed Bed }

// NewWine is the Windows cell of a bed.
func NewWine(bed Bed) *Wine { return &Wine{bed} }

// winesAtOnce is how many devices of one cell live at the same time: much of a
// Wine device's life is waiting for its server to end.
const winesAtOnce = 2

// winePrograms are the programs of this machine that a Windows cell needs.
type winePrograms struct{ bwrap, wine, server string }

func (w *Wine) programs() (p winePrograms, err error) {
	if p.bwrap, err = program("wine", "bwrap", "bubblewrap"); err != nil {
		return p, err
	}
	if p.wine, err = program("wine", "wine", "wine wine64"); err != nil {
		return p, err
	}
	p.server, err = program("wine", "wineserver", "wine wine64")
	return p, err
}

// Prepare makes the cell's base if there is none: a prefix that says it is
// Windows 10, without a drive that shows this machine's files.
func (w *Wine) Prepare(ctx context.Context, _ string) error {
	p, err := w.programs()
	if err != nil {
		return err
	}
	_, err = w.prepare(ctx, p)
	return err
}

func (w *Wine) prepare(ctx context.Context, p winePrograms) (string, error) {
	return w.bed.base(ctx, "wine-win10", func(dir string) error {
		w.bed.say("making a Wine prefix for Windows cells")
		box := wineBox(p, dir)
		for _, line := range []string{`"$WINE" wineboot -i`, `"$WINE" reg add 'HKCU\Software\Wine' /v Version /d win10 /f`} {
			r, err := box.run(ctx, prepareLimit, nil, "/bin/sh", "-c", line+`; status=$?; "$SERVER" -w; exit $status`)
			if err != nil {
				return err
			}
			if r.exit != 0 {
				return fleet.Errorf(fleet.Internal, "testbed.wine", line, "exit code %d: %s", r.exit, detail(r.output))
			}
		}
		if err := os.Remove(filepath.Join(dir, "dosdevices", "z:")); err != nil && !os.IsNotExist(err) {
			return err
		}
		return primitives(ctx, filepath.Join(dir, "drive_c", "windows", "system32"))
	})
}

// primitivesSource is a library that current programs written in Go load and
// older releases of Wine lack: one function that fills a buffer with random
// bytes (bcryptprimitives.dll, ProcessPrng).
const primitivesSource = `#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) { return SystemFunction036(data, (ULONG)size); }
BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved) { return TRUE; }
`

// primitives adds that library if Wine has none and there is a compiler.
func primitives(ctx context.Context, system string) error {
	const name = "bcryptprimitives.dll"
	if _, err := os.Stat(filepath.Join(system, name)); err == nil {
		return nil
	}
	compiler, err := exec.LookPath("x86_64-w64-mingw32-gcc")
	if err != nil {
		return nil // programs that need it will say so
	}
	source := filepath.Join(system, "packmill.c")
	if err := os.WriteFile(source, []byte(primitivesSource), 0o644); err != nil {
		return err
	}
	if err := tool(ctx, compiler, "-shared", "-o", filepath.Join(system, name), source, "-ladvapi32"); err != nil {
		return err
	}
	return os.Remove(source)
}

// Run takes a Windows installer through its life.
func (w *Wine) Run(ctx context.Context, spec Spec) ([]fleet.TestStep, error) {
	in := spec.installer()
	if in.Platform != "windows" || in.Arch != "x64" {
		return nil, fleet.Errorf(fleet.Invalid, "testbed.wine", string(spec.Package.ID), "a Wine cell installs Windows packages for x64, not %s for %s", in.Platform, in.Arch)
	}
	p, err := w.programs()
	if err != nil {
		return nil, err
	}
	base, err := w.prepare(ctx, p)
	if err != nil {
		return nil, err
	}
	return lifecycle(ctx, spec, winesAtOnce, func(ctx context.Context, log *transcript) (endpoint, error) {
		layer, err := w.bed.layer(ctx, base)
		if err != nil {
			return nil, err
		}
		return &windows{layer: layer, log: log, box: wineBox(p, layer.root), placed: map[string]content{}}, nil
	})
}

// wineBox is the view from inside: the system's programs read-only, and the
// prefix. There is no home, no configuration and nobody else's file.
func wineBox(p winePrograms, prefix string) sandbox {
	view := []string{"--unshare-user", "--ro-bind", "/usr", "/usr"}
	for _, dir := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if target, err := os.Readlink(dir); err == nil {
			view = append(view, "--symlink", target, dir)
		} else {
			view = append(view, "--ro-bind-try", dir, dir)
		}
	}
	for _, path := range []string{"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/fonts"} {
		view = append(view, "--ro-bind-try", path, path)
	}
	if strings.HasPrefix(p.wine, "/opt/") {
		view = append(view, "--ro-bind", "/opt", "/opt")
	}
	view = append(view, "--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc", "--bind", prefix, "/prefix", "--chdir", "/prefix")
	env := []string{
		"PATH=/usr/bin:/bin", "HOME=/tmp", "WINEPREFIX=/prefix", "WINEARCH=win64", "WINEDEBUG=-all",
		"WINEDLLOVERRIDES=mscoree,mshtml,winemenubuilder.exe=", // no offers to download what is missing, no desktop entries
		"WINE=" + p.wine, "SERVER=" + p.server,
	}
	return sandbox{bwrap: p.bwrap, view: view, env: env}
}
