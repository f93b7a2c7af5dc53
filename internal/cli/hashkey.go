package cli

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

// hashKeySize is the size of a tenant's key in bytes.
const hashKeySize = 32

// newHashKey makes a key and keeps it. Of two processes that do so at once one
// wins, and the other reads the winner's.
func newHashKey(path string) ([]byte, error) {
	key := make([]byte, hashKeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".key-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(temp.Name())
	if _, err := fmt.Fprintln(temp, hex.EncodeToString(key)); err != nil {
		return nil, err
	}
	if err := temp.Close(); err != nil {
		return nil, err
	}
	// Linking fails where the name is taken, unlike renaming.
	if err := os.Link(temp.Name(), path); err != nil {
		if data, err := os.ReadFile(path); err == nil && len(data) >= 2*hashKeySize {
			return hex.DecodeString(string(data[:2*hashKeySize]))
		}
		return nil, err
	}
	return key, nil
}
