package fleet

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// HashDevice is how evidence names a device: HMAC-SHA256 of its id under the
// tenant's key, 16 bytes in hex.
func HashDevice(key []byte, id string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
