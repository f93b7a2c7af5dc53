// Package fleet is packmill's vocabulary: the nouns of the repository (package,
// release, wave, tenant, …), the facts that evidence records, the errors every
// room returns, and the two contracts everything else is handed, Clock and
// Signer.
//
// It imports the standard library only, and nothing here reads a file, a clock
// or the network. Types carry JSON tags in the spelling of the CUE schema
// (internal/record/schema), from which they are decoded.
package fleet
