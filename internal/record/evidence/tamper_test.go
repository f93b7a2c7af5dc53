package evidence

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/gitrepo"
)

// TestAnyByte alters every single byte of every file of the ledger, in a
// history that is committed anew around it, and in the object itself.
func TestAnyByte(t *testing.T) {
	w, _ := small(t)
	count := 0
	for _, branch := range Branches() {
		line := forger{t, w.git}.line(branch)
		if len(line) == 0 {
			continue
		}
		files := line[len(line)-1].files
		for _, name := range slices.Sorted(maps.Keys(files)) {
			data, err := w.git.ReadBlob(files[name].Blob)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(data); i += stride {
				altered := bytes.Clone(data)
				altered[i] ^= 1 << (i % 8)
				if !alteredFound(t, w, branch, name, altered) {
					t.Fatalf("%s:%s: byte %d (%q to %q) is altered unseen", branch, name, i, data[i], altered[i])
				}
				count++
			}
			for _, altered := range [][]byte{append(bytes.Clone(data), '\n'), append(bytes.Clone(data), data...), data[:len(data)-1], {}} {
				if !alteredFound(t, w, branch, name, altered) {
					t.Fatalf("%s:%s: another length is unseen", branch, name)
				}
			}
		}
	}
	if count < 3000/stride {
		t.Errorf("only %d bytes were altered", count)
	}
}

// alteredFound alters a file in both ways and reports whether both audits, and
// Read, name the branch and the batch.
func alteredFound(t *testing.T, w world, branch, name string, data []byte) bool {
	t.Helper()
	committed := forger{t, w.git.copy()}
	line := committed.line(branch)
	committed.replace(line, name, data)
	committed.write(branch, line)
	object := w.git.copy()
	object.blobs[line0(t, w, branch, name)] = data
	batch, _, _ := batchName(name)
	for _, git := range []*memGit{committed.git, object} {
		l := open(git, w.key)
		// What this byte has no part in was verified before: the test is quick
		// because only the altered batch is opened again.
		for key, b := range w.verified.all {
			if !strings.HasPrefix(key.file, batch) {
				l.verified.put(key, b)
			}
		}
		found, err := l.Verify(t.Context())
		named := slices.ContainsFunc(found, func(f Finding) bool {
			return f.Branch == branch && strings.HasPrefix(f.Path, batch) && !f.Note
		})
		_, readErr := l.Read(t.Context())
		if err != nil || !named || fleet.KindOf(readErr) != fleet.Refused || !strings.Contains(readErr.Error(), branch+":"+batch) {
			return false
		}
	}
	return true
}

// line0 is the id of a file's blob in the true ledger.
func line0(t *testing.T, w world, branch, name string) string {
	line := forger{t, w.git}.line(branch)
	return line[len(line)-1].files[name].Blob
}

// TestTampering tries what somebody who may push could do without a key.
func TestTampering(t *testing.T) {
	w, tenant := small(t)
	shard := Shard(tenant)
	heads := w.read(t).Heads
	drop := func(line []version, n int) {
		before := map[string]gitrepo.File{}
		if n > 0 {
			before = line[n-1].files
		}
		gone := maps.Clone(line[n].files)
		maps.DeleteFunc(gone, func(name string, _ gitrepo.File) bool { _, ok := before[name]; return ok })
		for _, v := range line[n:] {
			for name := range gone {
				delete(v.files, name)
			}
		}
	}
	for name, c := range map[string]struct {
		want  string
		forge func(f forger)
	}{
		"first batch removed": {"is missing", func(f forger) {
			line := f.line(Control)
			drop(line, 0)
			f.write(Control, line[1:])
		}},
		"middle batch removed": {"is missing", func(f forger) {
			line := f.line(Control)
			drop(line, 1)
			f.write(Control, slices.Delete(line, 1, 2))
		}},
		"newest batch of a shard removed": {"that control recorded", func(f forger) {
			line := f.line(shard)
			f.write(shard, line[:len(line)-1])
		}},
		"newest batch of control removed": {"that a plan recorded", func(f forger) {
			line := f.line(Control)
			f.write(Control, line[:len(line)-1])
		}},
		"shard removed":   {"that control recorded", func(f forger) { f.write(shard, nil) }},
		"control removed": {"that a plan recorded", func(f forger) { f.write(Control, nil) }},
		"removed in a later commit": {"removes", func(f forger) {
			line := f.line(Control)
			last := version{line[len(line)-1].info, maps.Clone(line[len(line)-1].files)}
			line = append(line, last)
			for name := range line[0].files {
				delete(last.files, name)
			}
			f.write(Control, line)
		}},
		"removed and put back": {"removes", func(f forger) {
			line := f.line(Control)
			last := line[len(line)-1]
			between := version{last.info, maps.Clone(last.files)}
			for name := range line[0].files {
				delete(between.files, name)
			}
			f.write(Control, append(line, between, last))
		}},
		"order of commits": {"history was rewritten", func(f forger) {
			// The same batches, committed in another order.
			line := f.line(Control)
			second := maps.Clone(line[1].files)
			for name := range line[0].files {
				delete(second, name)
			}
			line[0].files, line[0].info, line[1].info = second, line[1].info, line[0].info
			f.write(Control, line)
		}},
		"replayed on another branch": {"was signed for branch", func(f forger) { f.write("evidence/01", f.line(shard)) }},
		"replayed in another folder": {"was signed for", func(f forger) {
			line := f.line(Control)
			for _, v := range line {
				for name := range line[0].files {
					v.files["2026-W47/detected/"+path.Base(name)] = v.files[name]
				}
			}
			f.write(Control, line)
		}},
		"added without a key": {"signature by a trusted key", func(f forger) {
			other := over(f.git, newKey(t), w.key, w.clock, author)
			if err := other.Append(t.Context(), "evidence/02", InventoryDir(tenantIn("evidence/02")),
				[]fleet.InventoryRow{{Tenant: tenantIn("evidence/02"), Device: "d"}}); err != nil {
				t.Fatal(err)
			}
		}},
		"stray file": {"is no part of a batch", func(f forger) {
			line := f.line(Control)
			id, _ := f.git.WriteBlob([]byte("x"))
			line[2].files["README.md"] = gitrepo.File{Mode: fileMode, Blob: id}
			f.write(Control, line)
		}},
		"signature removed": {"has no signature", func(f forger) {
			line := f.line(Control)
			for name := range line[0].files {
				if strings.HasSuffix(name, envelopeSuffix) {
					for _, v := range line {
						delete(v.files, name)
					}
				}
			}
			f.write(Control, line)
		}},
		"rows removed": {"rows that are missing", func(f forger) {
			line := f.line(Control)
			for name := range line[0].files {
				if strings.HasSuffix(name, rowsSuffix) {
					for _, v := range line {
						delete(v.files, name)
					}
				}
			}
			f.write(Control, line)
		}},
		"executable": {"mode 100755", func(f forger) {
			line := f.line(Control)
			for _, v := range line {
				for name := range line[0].files {
					v.files[name] = gitrepo.File{Mode: "100755", Blob: v.files[name].Blob}
				}
			}
			f.write(Control, line)
		}},
		"symlink": {"mode 120000", func(f forger) {
			line := f.line(Control)
			for name := range line[2].files {
				line[2].files[name] = gitrepo.File{Mode: "120000", Blob: line[2].files[name].Blob}
			}
			f.write(Control, line)
		}},
		"message of the tip": {"another message", func(f forger) {
			line := f.line(Control)
			line[2].info.Message = "nothing to see\n"
			f.write(Control, line)
		}},
		"date of the tip": {"is dated", func(f forger) {
			line := f.line(Control)
			line[2].info.When = line[2].info.When.Add(time.Second)
			f.write(Control, line)
		}},
		"author of the tip": {"another author", func(f forger) {
			line := f.line(Control)
			line[2].info.Author.Name = "somebody"
			f.write(Control, line)
		}},
		"message of an old commit": {"history was rewritten", func(f forger) {
			line := f.line(Control)
			line[0].info.Message = "nothing to see\n"
			f.write(Control, line)
		}},
		"hidden header": {"does not write", func(f forger) {
			// As if the commit object had a header that CommitInfo does not tell.
			tip := f.git.refs["refs/heads/"+Control]
			c := f.git.commits[tip]
			other := hashOf("another object of the same commit")
			c.info.ID = other
			f.git.commits[other] = c
			f.git.refs["refs/heads/"+Control] = other
		}},
		"merge": {"is a merge", func(f forger) {
			tip := f.git.refs["refs/heads/"+Control]
			c := f.git.commits[tip]
			c.info.Parents = []string{tip, f.git.refs["refs/heads/"+shard]}
			f.git.refs["refs/heads/"+Control] = f.git.store(c.info, c.files)
		}},
		"all in one commit": {"not the two of one batch", func(f forger) {
			line := f.line(Control)
			f.write(Control, line[2:])
		}},
		"object missing": {"no such blob", func(f forger) {
			for _, e := range f.line(Control)[0].files {
				delete(f.git.blobs, e.Blob)
			}
		}},
		"commit missing": {"no such commit", func(f forger) {
			delete(f.git.commits, f.git.refs["refs/heads/"+shard])
		}},
		"local and remote parted": {"have parted", func(f forger) {
			line := f.line(Control)
			f.git.refs["refs/remotes/origin/"+Control] = f.git.refs["refs/heads/"+Control]
			line[0].info.Message = "x\n"
			f.write(Control, line)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := forger{t, w.git.copy()}
			c.forge(f)
			found := audit(t, w, f.git, heads)
			if !slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.String(), c.want) && !f.Note }) {
				t.Errorf("found %v, want something with %q", found, c.want)
			}
		})
	}
}

// TestKeysInForce audits with a key that was replaced: old batches stand, new
// ones by the old key do not.
func TestKeysInForce(t *testing.T) {
	w, _ := small(t)
	w.key.until = start().Add(30 * time.Second)
	found := audit(t, w, w.git)
	if len(found) == 0 || slices.ContainsFunc(found, func(f Finding) bool {
		return strings.Contains(f.What, "no key is trusted") && strings.Contains(f.What, "06:00:00")
	}) {
		t.Errorf("found %v: batches of the first half minute should stand, the later ones not", found)
	}
	w.key.until = start().AddDate(1, 0, 0)
	w.clean(t)
}

// TestTwoSignatures refuses an envelope with a second signature beside the
// good one.
func TestTwoSignatures(t *testing.T) {
	w, _ := small(t)
	sealed, err := seal(t.Context(), w.key, statement{Key: w.key.KeyID(), At: start()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unseal(w.key, sealed); err != nil {
		t.Fatalf("a sealed statement is not opened: %v", err)
	}
	i := bytes.Index(sealed, []byte(`{"keyid"`))
	one := sealed[i : len(sealed)-3]
	twice := append(append(append(bytes.Clone(sealed[:len(sealed)-3]), ','), one...), "]}\n"...)
	if _, err := unseal(w.key, twice); err == nil || !strings.Contains(err.Error(), "has 2 signatures") {
		t.Errorf("two signatures: %v", err)
	}
}

// TestForkedChain has two batches that follow the same one, both signed.
func TestForkedChain(t *testing.T) {
	w := newWorld(t, newMemGit(nil), newKey(t))
	w.append(t, Control, HeartbeatDir, beat(0))
	fork := newWorld(t, w.git.copy(), w.key)
	w.append(t, Control, HeartbeatDir, beat(1))
	fork.append(t, Control, HeartbeatDir, beat(2))
	f := forger{t, w.git}
	line := f.line(Control)
	other := forger{t, fork.git}.line(Control)[1]
	maps.Copy(w.git.blobs, fork.git.blobs)
	both := version{other.info, maps.Clone(line[1].files)}
	maps.Copy(both.files, other.files)
	f.write(Control, append(line, both))
	if found := audit(t, w, w.git); !slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.What, "follows the same batch") }) {
		t.Errorf("found %v", found)
	}
}
