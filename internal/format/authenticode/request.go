package authenticode

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"math/big"

	"github.com/packmill/packmill/internal/fleet"
)

// TimestampRequest is the DER of an RFC 3161 request for a token over a digest.
// The nonce ties the answer to it.
func TimestampRequest(digest []byte, hash crypto.Hash, nonce *big.Int) ([]byte, error) {
	algorithm, err := digestAlgorithm(hash)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct {
		Version int
		Imprint messageImprint
		Nonce   *big.Int
		Certs   bool // the token is to carry the authority's certificates
	}{1, messageImprint{algorithm, digest}, nonce, true})
}

// TimestampToken is the token in an authority's answer to such a request. An
// authority that declines is an error of kind Refused, as is a token over
// anything else.
func TimestampToken(response, digest []byte, hash crypto.Hash, nonce *big.Int) ([]byte, error) {
	if len(response) > maxSize {
		return nil, fail(fleet.Invalid, "the answer of the timestamp authority has %d bytes", len(response))
	}
	var answer struct {
		Status struct {
			Status int
			Text   []asn1.RawValue `asn1:"optional"`
			Fail   asn1.BitString  `asn1:"optional"`
		}
		Token asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(response, &answer); err != nil {
		return nil, fail(fleet.Invalid, "the answer of the timestamp authority: %w", err)
	}
	if s := answer.Status.Status; s != 0 && s != 1 { // granted, and granted with changes
		text := ""
		for _, t := range answer.Status.Text {
			text += " " + printable(string(t.Bytes))
		}
		return nil, fail(fleet.Refused, "the timestamp authority declined with status %d:%.200s", s, text)
	}
	m, info, err := parseToken(answer.Token.FullBytes)
	if err != nil {
		return nil, err
	}
	stated, err := m.checkToken(info)
	if err != nil {
		return nil, err
	}
	if stated != hash || !bytes.Equal(info.Imprint.Digest, digest) || info.Nonce == nil || info.Nonce.Cmp(nonce) != 0 {
		return nil, fail(fleet.Refused, "the timestamp authority answered another request")
	}
	return answer.Token.FullBytes, nil
}
