package signing

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/digitorus/pkcs7"

	"github.com/packmill/packmill/internal/format/authenticode"
	"github.com/packmill/packmill/internal/testreq"
)

// oldStamper is a timestamp authority of the protocol before RFC 3161, whose
// answers osslsigncode turns into countersignatures: "Authenticode", base64 of
// a PKCS #7 message around the signature that it was sent. It stamps the
// present, for that is what the library under it does.
func oldStamper(t *testing.T, h *holder) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		der, err := base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
			if r == '\r' || r == '\n' || r == 0 {
				return -1
			}
			return r
		}, string(text)))
		if err != nil {
			t.Error(err)
		}
		// A type, a blob of a type, and in it the signature in an explicit tag.
		var outer, blob struct {
			Type asn1.ObjectIdentifier
			Rest asn1.RawValue
		}
		var signature []byte
		if _, err := asn1.Unmarshal(der, &outer); err != nil {
			t.Errorf("request: %v", err)
		}
		if _, err := asn1.Unmarshal(outer.Rest.FullBytes, &blob); err != nil {
			t.Errorf("blob: %v", err)
		}
		if _, err := asn1.Unmarshal(blob.Rest.Bytes, &signature); err != nil {
			t.Errorf("signature: %v", err)
		}
		signed, err := pkcs7.NewSignedData(signature)
		if err != nil {
			t.Error(err)
			return
		}
		signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		if err := signed.AddSignerChain(h.cert, h.key, h.above, pkcs7.SignerInfoConfig{}); err != nil {
			t.Error(err)
			return
		}
		answer, err := signed.Finish()
		if err != nil {
			t.Error(err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		fmt.Fprint(w, base64.StdEncoding.EncodeToString(answer))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestCountersigned compares what is said of countersignatures of PKCS #9, the
// form before RFC 3161.
func TestCountersigned(t *testing.T) {
	w := newCodeWorld(t)
	o := &osslsigncode{program: testreq.Program(t, "osslsigncode"), world: w}
	short := w.coder(t, w.middle, "Short AS", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = at("2026-01-01"), at("2035-01-01") })
	later := at("2036-01-01")
	for _, c := range []struct {
		name string
		by   *holder
		want authenticode.Verdict
	}{{"trusted", w.tsa, authenticode.Lasting}, {"of a stranger", w.rogue, authenticode.Expired}} {
		for _, kind := range []CodeKind{CodePE, CodeMSI} {
			data := o.sign(t, kind, unsignedFile(t, kind), short, "-t", oldStamper(t, c.by))
			r := w.judgedAt(t, kind, data, later)
			if s := r.Signer.Timestamp; r.Verdict != c.want || s == nil || s.Kind != "PKCS #9" || s.Authority.Subject != c.by.cert.Subject.String() {
				t.Errorf("%s, %s: %s (%v) %+v", c.name, kind, r.Verdict, r.Why, s)
			} else if s.Time.Before(at("2026-01-01")) {
				t.Errorf("stamped at %v", s.Time)
			}
			_, said, err := o.run(t, kind, data, "verify", "-CAfile", filepath.Join(w.dir, "roots.pem"), "-TSA-CAfile", filepath.Join(w.dir, "stamps.pem"), "-time", fmt.Sprint(later.Unix()))
			if (err == nil) != r.Verdict.Accepted() {
				t.Errorf("%s, %s: osslsigncode says %v, we say %s\n%s", c.name, kind, err, r.Verdict, said)
			}
		}
	}
}
