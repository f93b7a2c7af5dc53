package fleet

import "testing"

func TestSignerSince(t *testing.T) {
	acme := SignedBy{Subject: "CN=Acme", Issuer: "CN=CA 1", Thumbprint: "aa"}
	for _, c := range []struct {
		is, was SignedBy
		want    SignerChange
	}{
		{acme, acme, SignerSame},
		{acme, SignedBy{Subject: "CN=Acme"}, SignerSame}, // merged before issuers were noted
		{SignedBy{Unsigned: true}, SignedBy{Unsigned: true}, SignerSame},
		{SignedBy{Subject: "CN=Acme", Issuer: "CN=CA 1", Thumbprint: "bb"}, acme, SignerRenewed},
		{SignedBy{Subject: "CN=Acme", Issuer: "CN=CA 2", Thumbprint: "bb"}, acme, SignerReissued},
		{SignedBy{Subject: "CN=Acme", Issuer: "CN=Acme", Thumbprint: "bb"}, acme, SignerReissued}, // by itself
		{SignedBy{Subject: "CN=Evil", Issuer: "CN=CA 1", Thumbprint: "aa"}, acme, SignerChanged},
		{SignedBy{Unsigned: true}, acme, SignerLost},
		{acme, SignedBy{Unsigned: true}, SignerGained},
		{acme, SignedBy{}, SignerGained},
	} {
		if got := c.is.Since(c.was); got != c.want {
			t.Errorf("%+v since %+v: %s, want %s", c.is, c.was, got, c.want)
		}
	}
}
