package cli

import (
	"crypto/rand"

	"github.com/packmill/packmill/internal/edge/signing"
	"github.com/packmill/packmill/internal/factory"
	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// wireCode gives the factory the key that signs packmill's own scripts for Windows,
// where the environment names one.
func (a *app) wireCode(f *factory.Factory) error {
	key, chain := a.getenv("PACKMILL_CODE_KEY"), a.getenv("PACKMILL_CODE_CERTIFICATES")
	switch {
	case key == "" && chain == "":
		return nil
	case key == "" || chain == "":
		e := fleet.Errorf(fleet.Invalid, "cli.code", "PACKMILL_CODE_KEY", "a code signature takes a key and its certificates, and only one of them is named")
		e.Hint = "set PACKMILL_CODE_KEY and PACKMILL_CODE_CERTIFICATES both, or neither"
		return e
	}
	signer, err := signing.LoadCodeSigner(key, chain, []byte(a.getenv("PACKMILL_CODE_KEY_PASSWORD")))
	if err != nil {
		return err
	}
	signer.Name = "packmill"
	if at := a.getenv("PACKMILL_TIMESTAMP"); at != "" {
		clock, err := a.clock()
		if err != nil {
			return err
		}
		client := transport.New(transport.Options{Clock: clock, UserAgent: "packmill/" + buildVersion(), AllowLoopback: true})
		signer.Timestamper = signing.TimestampAuthority{Client: client, URL: at, Random: rand.Reader}
	}
	f.Code = &signer
	return nil
}
