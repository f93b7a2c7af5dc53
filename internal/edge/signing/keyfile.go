package signing

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/packmill/packmill/internal/fleet"
)

// readPrivate reads a file that nobody but its owner may read. The hint is for
// people who have none yet.
func readPrivate(path, hint string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &fleet.Error{Op: "signing.load", Object: path, Kind: fleet.Invalid, Err: fmt.Errorf("the signing key cannot be read: %w", errors.Unwrap(err)),
			Hint: hint}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, &fleet.Error{Op: "signing.load", Object: path, Kind: fleet.Refused,
			Err: fmt.Errorf("others may read the signing key (mode %04o)", info.Mode().Perm()), Hint: "chmod 600 " + path}
	}
	return capped(f)
}

// readCapped reads a small file of public text.
func readCapped(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fleet.Errorf(fleet.Invalid, "signing.load", path, "it cannot be read: %w", errors.Unwrap(err))
	}
	defer f.Close()
	return capped(f)
}

func capped(f *os.File) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fleet.Errorf(fleet.Invalid, "signing.load", f.Name(), "more than %d bytes are no signing key", maxKeyFile)
	}
	return data, nil
}
