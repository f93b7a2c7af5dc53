// Package sip knows where a cabinet, an app package and a PowerShell script
// keep their code signature, and which of their bytes it covers; for programs
// and MSIs, the packages pe and msi do. Windows calls that part of itself a
// subject interface package.
//
// Each reader gives the PKCS #7 SignedData, nil where there is none, and the
// digest that such a signature must state; whether it holds is for package
// authenticode to say. Bytes that the signature would not cover, though the
// format has no use for them, are an error: somebody put them there afterwards.
// A file is hostile: every offset is checked and everything held is capped.
package sip

import (
	"fmt"

	"github.com/packmill/packmill/internal/fleet"
)

// maxSignature is how many bytes a signature may have.
const maxSignature = 4 << 20

func invalid(format string, args ...any) error {
	return &fleet.Error{Op: "sip.read", Kind: fleet.Invalid, Err: fmt.Errorf(format, args...)}
}
