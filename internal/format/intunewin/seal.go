package intunewin

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"hash"
	"hash/crc32"
	"io"

	"golang.org/x/sync/errgroup"
)

// blockSize is how much is worked on at a time; inFlight such blocks exist.
const (
	blockSize = 512 << 10
	inFlight  = 4
	prefix    = sha256.Size + aes.BlockSize // MAC and IV before the ciphertext
)

// sealed is what is known once the last byte is encrypted.
type sealed struct {
	digest []byte // SHA-256 of the plain bytes
	mac    []byte // of IV and ciphertext
	crc    uint32 // of the ciphertext
}

// seal encrypts r to w. Hashing the plain bytes, encrypting and authenticating
// each take about as long, so they run side by side, each on another block.
func seal(ctx context.Context, w io.Writer, r io.Reader, k *Keys) (sealed, error) {
	block, err := aes.NewCipher(k.Encryption[:])
	if err != nil {
		return sealed{}, err
	}
	plain, mac, crc := sha256.New(), hmac.New(sha256.New, k.Mac[:]), crc32.NewIEEE()
	mac.Write(k.IV[:])
	g, ctx := errgroup.WithContext(ctx)
	free := make(chan []byte, inFlight)
	for range inFlight {
		free <- make([]byte, blockSize)
	}
	hashed, encrypted := make(chan []byte, inFlight), make(chan []byte, inFlight)

	g.Go(func() error {
		defer close(hashed)
		return readBlocks(ctx, r, plain, free, hashed)
	})
	g.Go(func() error {
		defer close(encrypted)
		cbc := cipher.NewCBCEncrypter(block, k.IV[:])
		for b := range hashed {
			cbc.CryptBlocks(b, b)
			encrypted <- b
		}
		return nil
	})
	g.Go(func() error {
		for b := range encrypted {
			mac.Write(b)
			crc.Write(b)
			if _, err := w.Write(b); err != nil {
				return err
			}
			free <- b[:blockSize]
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return sealed{}, err
	}
	return sealed{digest: plain.Sum(nil), mac: mac.Sum(nil), crc: crc.Sum32()}, nil
}

// readBlocks fills blocks from r, hashes them, and pads the last one (PKCS #7).
func readBlocks(ctx context.Context, r io.Reader, plain hash.Hash, free <-chan []byte, out chan<- []byte) error {
	for {
		var b []byte
		select {
		case b = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		n, err := io.ReadFull(r, b)
		plain.Write(b[:n])
		switch {
		case err == nil:
			out <- b
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			pad := aes.BlockSize - n%aes.BlockSize
			out <- append(b[:n], bytes.Repeat([]byte{byte(pad)}, pad)...)
			return nil
		default:
			return err
		}
	}
}
