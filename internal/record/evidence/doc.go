// Package evidence is the ledger: what packmill saw, tried, sent and measured,
// as signed batches on branches of the repository itself.
//
// There are seventeen branches, evidence/control for facts about the whole and
// evidence/00 … evidence/0f for facts about tenants, sharded by tenant. Each
// is a line of commits of which every one adds exactly one batch:
//
//	<dir>/<id>.jsonl       rows of one kind, one JSON object a line
//	<dir>/<id>.dsse.json   a DSSE envelope that signs where and what it is
//
// The folder tells the kind (table kinds). The envelope's statement names
// branch, path, digest, the commit before, and the chain head before and after:
//
//	head = hex SHA-256(previous head + "\n" + hex SHA-256(path + "\n" + rows))
//
// so that heads depend on facts alone, never on keys, clocks of signatures or
// commit ids. Equal facts give equal heads, and plans name heads.
//
// Three properties follow, and Verify proves all of them from a clone alone:
// nothing is ever changed or removed, nothing is added by another key, and a
// batch moved elsewhere is no batch. Rows hold no personal data: Append refuses
// what looks like an address or a person's name.
package evidence
