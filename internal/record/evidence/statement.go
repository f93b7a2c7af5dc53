package evidence

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// statementType is the DSSE payload type of a batch's statement.
const statementType = "application/vnd.packmill.evidence.v1+json"

// A statement is what is signed about a batch. It binds the rows to one place,
// the place to one point of the chain, and the chain to the commits.
type statement struct {
	Branch   string       `json:"branch"`
	Path     string       `json:"path"` // of the rows
	Rows     fleet.Digest `json:"rows"`
	Previous string       `json:"previous"` // chain head before, "" for the first batch
	Head     string       `json:"head"`     // chain head after
	Parent   string       `json:"parent"`   // commit before, "" for the first
	Author   string       `json:"author"`   // of the commit: "name <address>"
	Key      string       `json:"key"`      // id of the signing key
	At       time.Time    `json:"at"`       // of the commit, UTC, whole seconds, never before the previous batch's
}

// nextHead is the chain head after a batch.
func nextHead(previous, file string, rows []byte) string {
	link := sha256.New()
	link.Write([]byte(file + "\n"))
	link.Write(rows)
	sum := sha256.Sum256([]byte(previous + "\n" + hex.EncodeToString(link.Sum(nil))))
	return hex.EncodeToString(sum[:])
}

// batchPath is where a batch of dir goes that follows the given head: the path
// of its rows. It is derived, so that a second run makes the same.
func batchPath(branch, dir, previous string, rows fleet.Digest) string {
	return path.Join(folderOf(dir, rows), fleet.DeriveID("evidence/v1", branch, dir, previous, string(rows))+rowsSuffix)
}

// message is the commit message of a batch.
func (s statement) message() string { return "Record " + dirOf(s.Path) + "\n" }

// commitID is the id of the one commit object that may record a batch. Nothing
// in it is free, so nothing in it can be altered unseen (gitformat-commit;
// SHA-1 because git names objects so, nothing is proven by it alone).
func commitID(tree, parent string, author fleet.Identity, at time.Time, message string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", tree)
	if parent != "" {
		fmt.Fprintf(&b, "parent %s\n", parent)
	}
	stamp := fmt.Sprintf("%s <%s> %d +0000", author.Name, author.Email, at.Unix())
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\n%s", stamp, stamp, message)
	h := sha1.New()
	fmt.Fprintf(h, "commit %d\x00%s", b.Len(), b.String())
	return hex.EncodeToString(h.Sum(nil))
}

// An envelope is a DSSE envelope as a ledger file holds it: exactly one
// signature, in exactly the bytes of canonical. DSSE readers ignore white
// space, unknown fields and the key id; here they would be places where a byte
// can change unseen.
type envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     string      `json:"payload"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

func (e envelope) canonical() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		panic("evidence: strings have a JSON form: " + err.Error())
	}
	return b.Bytes()
}

// seal signs a statement and gives the bytes of its envelope file.
func seal(ctx context.Context, signer fleet.Signer, s statement) ([]byte, error) {
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	made, err := signer.Envelope(ctx, statementType, payload)
	if err != nil {
		return nil, err
	}
	var e envelope
	if err := strictJSON(made, &e); err != nil {
		return nil, fmt.Errorf("the signer's envelope is no DSSE envelope: %w", err)
	}
	if len(e.Signatures) != 1 || e.Signatures[0].KeyID != s.Key || e.PayloadType != statementType ||
		e.Payload != base64.StdEncoding.EncodeToString(payload) {
		return nil, errors.New("the signer's envelope is not one signature of its own over what it was given")
	}
	return e.canonical(), nil
}

// unseal opens an envelope file: canonical form, one signature, and that by a
// key trusted at the statement's own time, which the chain keeps from running
// backwards.
func unseal(verifier fleet.Verifier, file []byte) (statement, error) {
	var s statement
	var e envelope
	if err := strictJSON(file, &e); err != nil {
		return s, fmt.Errorf("is no DSSE envelope: %w", err)
	}
	if n := len(e.Signatures); n != 1 {
		return s, fmt.Errorf("has %d signatures, not one", n)
	}
	if !bytes.Equal(e.canonical(), file) {
		return s, errors.New("is not in the form the ledger writes")
	}
	for _, text := range []string{e.Payload, e.Signatures[0].Sig} {
		if data, err := base64.StdEncoding.Strict().DecodeString(text); err != nil || base64.StdEncoding.EncodeToString(data) != text {
			return s, errors.New("holds base64 that is not in its one form")
		}
	}
	claimed, _ := base64.StdEncoding.DecodeString(e.Payload)
	if err := strictJSON(claimed, &s); err != nil {
		return s, fmt.Errorf("signs something else than a batch: %w", err)
	}
	if s.Key != e.Signatures[0].KeyID {
		return s, errors.New("names another key than its statement")
	}
	payload, err := verifier.Open(file, statementType, s.At)
	if err != nil {
		return s, err
	}
	if !bytes.Equal(payload, claimed) {
		return s, errors.New("is opened to something else than it holds")
	}
	return s, nil
}

// check compares a statement with the batch it stands beside.
func (s statement) check(branch, file string, rows []byte) error {
	switch {
	case s.Branch != branch:
		return fmt.Errorf("was signed for branch %s", s.Branch)
	case s.Path != file:
		return fmt.Errorf("was signed for %s", s.Path)
	case s.Rows != fleet.DigestOf(rows):
		return fmt.Errorf("its rows are not those that were signed: %s, not %s", fleet.DigestOf(rows).Short(), s.Rows.Short())
	case s.Path != batchPath(branch, dirOf(file), s.Previous, s.Rows):
		return errors.New("its name is not the one its content gives")
	case s.Head != nextHead(s.Previous, file, rows):
		return errors.New("its chain head is not the one its content gives")
	}
	return nil
}
