package desired

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"cuelang.org/go/cue/ast"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/record/schema"
)

// ReleaseFile is the file of one release, byte for byte the same for the same
// release. It belongs at ReleasePath.
func ReleaseFile(version string, r fleet.Release) []byte {
	var b block
	b.int("counter", int64(r.Counter))
	if r.Epoch != 0 {
		b.int("epoch", int64(r.Epoch))
	}
	b.text("change", r.Change)
	if r.Baseline {
		b.raw("baseline", "true")
	}
	b.instantIf("published", r.Published)
	for _, key := range slices.Sorted(maps.Keys(r.Installers)) {
		b.sub("installers", key).download(r.Installers[key])
	}
	if len(r.Files) > 0 {
		files := b.sub("files")
		for _, name := range slices.Sorted(maps.Keys(r.Files)) {
			files.text(name, string(r.Files[name]))
		}
	}
	b.words("fixes", r.Fixes)
	var out strings.Builder
	out.WriteString("package catalog\n\n// Written by `packmill propose`, reviewed and merged by people, never changed after.\n")
	b.write(&out, "", []string{"pkg", "releases", version}, "")
	return []byte(out.String())
}

// download writes the fields of one installer.
func (b *block) download(d fleet.Download) {
	b.textIf("url", d.URL)
	b.textIf("purl", d.PURL)
	b.textIf("upload", string(d.Upload))
	b.textIf("member", d.Member)
	b.textIf("memberSHA256", string(d.MemberSHA256))
	b.int("size", d.Size)
	b.text("sha256", string(d.SHA256))
	signer := b.inline("signer")
	if d.Signer.Unsigned {
		signer.raw("unsigned", "true")
	} else {
		signer.text("subject", d.Signer.Subject)
		signer.textIf("issuer", d.Signer.Issuer)
		signer.textIf("thumbprint", d.Signer.Thumbprint)
		signer.instantIf("timestamp", d.Signer.Timestamp)
	}
	b.read(d)
	if d.Base != nil {
		base := b.sub("base")
		base.field("base", inlineOf(func(x *block) { x.blob(d.Base.Base) }))
		var patches []string
		for _, p := range d.Base.Patches {
			patches = append(patches, inlineOf(func(x *block) { x.blob(p) }))
		}
		base.field("patches", "["+strings.Join(patches, ", ")+"]")
	}
}

// read writes what the bytes told of themselves, by the format's reader.
func (b *block) read(d fleet.Download) {
	if d.MSI != nil {
		msi := b.inline("msi")
		msi.text("productCode", d.MSI.ProductCode)
		msi.textIf("upgradeCode", d.MSI.UpgradeCode)
		msi.textIf("productVersion", d.MSI.ProductVersion)
	}
	if d.PE != nil {
		pe := b.inline("pe")
		pe.textIf("fileVersion", d.PE.FileVersion)
		pe.textIf("productVersion", d.PE.ProductVersion)
		pe.textIf("productName", d.PE.ProductName)
		pe.text("machine", d.PE.Machine)
	}
	if d.Deb != nil {
		deb := b.inline("deb")
		deb.text("package", d.Deb.Package)
		deb.text("version", d.Deb.Version)
		deb.text("architecture", d.Deb.Architecture)
	}
	if d.RPM != nil {
		rpm := b.inline("rpm")
		rpm.text("name", d.RPM.Name)
		rpm.text("version", d.RPM.Version)
		rpm.text("release", d.RPM.Release)
		rpm.text("arch", d.RPM.Arch)
		if d.RPM.Epoch > 0 {
			rpm.int("epoch", d.RPM.Epoch)
		}
	}
	if d.Pkg != nil {
		b.pkg(*d.Pkg)
	}
}

func (b *block) pkg(p fleet.PkgFacts) {
	pkg := b.inline("pkg")
	pkg.text("identifier", p.Identifier)
	pkg.text("version", p.Version)
	var bundles []string
	for _, own := range p.Bundles {
		bundles = append(bundles, inlineOf(func(x *block) {
			x.text("id", own.ID)
			x.textIf("version", own.Version)
			x.textIf("build", own.Build)
		}))
	}
	if len(bundles) > 0 {
		pkg.field("bundles", "["+strings.Join(bundles, ", ")+"]")
	}
}

func (b *block) blob(x fleet.Blob) {
	b.textIf("url", x.URL)
	b.textIf("purl", x.PURL)
	b.textIf("upload", string(x.Upload))
	b.int("size", x.Size)
	b.text("sha256", string(x.SHA256))
}

// CycleFile is the file of a cycle. It belongs at CyclePath.
func CycleFile(id fleet.CycleID, c fleet.Cycle) []byte {
	var b block
	b.text("cutOff", instant(c.CutOff))
	for _, pkg := range slices.Sorted(maps.Keys(c.Entries)) {
		e := b.sub("entries", string(pkg))
		e.text("release", c.Entries[pkg].Release)
		e.text("artifact", string(c.Entries[pkg].Artifact))
		e.textIf("carriedFrom", string(c.Entries[pkg].CarriedFrom))
	}
	if len(c.Entries) == 0 {
		b.field("entries", "{}")
	}
	b.words("waves", c.Waves)
	if o := c.Overrides; o != nil {
		x := b.sub("overrides")
		x.words("freezes", o.Freezes)
		x.text("reason", o.Reason)
	}
	return b.schedule([]string{"cycles", string(id)}, "#Cycle")
}

// PlanFile is the file with the digests of a cycle's plans, one for each gate.
// It belongs at PlanPath.
func PlanFile(id fleet.CycleID, plans map[string]fleet.PlanRecord) []byte {
	out := strings.Builder{}
	out.WriteString(scheduleHead)
	for i, gate := range slices.Sorted(maps.Keys(plans)) {
		p := plans[gate]
		var b block
		b.text("digest", string(p.Digest))
		if len(p.Inputs) > 0 {
			inputs := b.sub("inputs")
			for _, branch := range slices.Sorted(maps.Keys(p.Inputs)) {
				inputs.text(branch, p.Inputs[branch])
			}
		}
		b.summary(p.Summary)
		if i > 0 {
			out.WriteByte('\n')
		}
		b.write(&out, "", []string{"plans", string(id), gate}, "schema.#Plan & ")
	}
	return []byte(out.String())
}

// ApprovalFile is the file of an approval. It belongs at ApprovalPath.
func ApprovalFile(a fleet.Approval) []byte {
	var b block
	b.text("cycle", string(a.Cycle))
	b.text("gate", a.Gate)
	b.text("decision", a.Decision)
	b.summary(a.Summary)
	b.text("plan", string(a.Plan))
	b.text("validUntil", instant(a.ValidUntil))
	b.textIf("because", a.Because)
	return b.schedule([]string{"approvals", string(a.Cycle), a.Gate}, "#Approval")
}

// HoldFile is the file of a hold or revocation. It belongs at HoldPath.
func HoldFile(id string, h fleet.Hold) []byte {
	var b block
	b.text("kind", h.Kind)
	b.text("package", string(h.Package))
	b.text("release", h.Release)
	b.textIf("artifact", string(h.Artifact))
	b.text("reason", h.Reason)
	b.instantIf("expires", h.Expires)
	b.textIf("rollbackTo", h.RollbackTo)
	return b.schedule([]string{"holds", id}, "#Hold")
}

func (b *block) summary(s fleet.Summary) {
	x := b.inline("summary")
	x.int("packages", int64(s.Packages))
	x.int("tenants", int64(s.Tenants))
	x.int("devices", int64(s.Devices))
	x.text("deadline", instant(s.Deadline))
}

const scheduleHead = "package schedules\n\nimport \"" + schema.ImportPath + "\"\n\n"

func (b *block) schedule(labels []string, def string) []byte {
	var out strings.Builder
	out.WriteString(scheduleHead)
	b.write(&out, "", labels, "schema."+def+" & ")
	return []byte(out.String())
}

// A block is a struct to be written: lines of label and value. Values that
// stand on neighbouring lines are aligned, as cue fmt does for literals.
type block struct{ lines []line }

type line struct {
	label   string
	value   string   // of a literal
	plain   bool     // value takes part in alignment
	labels  []string // of a nested block
	nested  *block
	oneLine bool
}

func (b *block) field(name, value string) {
	b.lines = append(b.lines, line{label: name, value: value})
}

func (b *block) raw(name, value string) {
	b.lines = append(b.lines, line{label: name, value: value, plain: true})
}

func (b *block) text(name, value string) { b.raw(name, quote(value)) }
func (b *block) int(name string, n int64) {
	b.raw(name, strconv.FormatInt(n, 10))
}

func (b *block) textIf(name, value string) {
	if value != "" {
		b.text(name, value)
	}
}

func (b *block) instantIf(name string, t *time.Time) {
	if t != nil {
		b.text(name, instant(*t))
	}
}

func (b *block) words(name string, list []string) {
	if len(list) == 0 {
		return
	}
	quoted := make([]string, len(list))
	for i, w := range list {
		quoted[i] = quote(w)
	}
	b.field(name, "["+strings.Join(quoted, ", ")+"]")
}

// sub adds a nested struct on lines of its own and returns it.
func (b *block) sub(labels ...string) *block {
	nested := &block{}
	b.lines = append(b.lines, line{labels: labels, nested: nested})
	return nested
}

// inline adds a nested struct on one line and returns it.
func (b *block) inline(name string) *block {
	nested := &block{}
	b.lines = append(b.lines, line{label: name, nested: nested, oneLine: true})
	return nested
}

// inlineOf is a struct on one line.
func inlineOf(write func(*block)) string {
	var b block
	write(&b)
	var parts []string
	for _, l := range b.lines {
		parts = append(parts, key(l.label)+": "+l.value)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (b *block) write(out *strings.Builder, indent string, labels []string, binding string) {
	out.WriteString(indent)
	for _, l := range labels {
		out.WriteString(key(l) + ": ")
	}
	out.WriteString(binding + "{\n")
	inner := indent + "\t"
	for i, l := range b.lines {
		switch {
		case l.oneLine:
			fmt.Fprintf(out, "%s%s: %s\n", inner, key(l.label), inlineOf(func(x *block) { *x = *l.nested }))
		case l.nested != nil:
			l.nested.write(out, inner, l.labels, "")
		default:
			fmt.Fprintf(out, "%s%-*s %s\n", inner, b.width(i)+1, key(l.label)+":", l.value)
		}
	}
	out.WriteString(indent + "}\n")
}

// width is the longest label among the literals next to line i.
func (b *block) width(i int) int {
	if !b.lines[i].plain {
		return 0
	}
	from, to := i, i
	for from > 0 && b.lines[from-1].plain {
		from--
	}
	for to+1 < len(b.lines) && b.lines[to+1].plain {
		to++
	}
	longest := 0
	for _, l := range b.lines[from : to+1] {
		longest = max(longest, len(key(l.label)))
	}
	return longest
}

// key is a label, quoted where CUE asks for it.
func key(name string) string {
	if ast.IsValidIdent(name) && !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, "#") && !strings.HasPrefix(name, "$") {
		return name
	}
	return quote(name)
}

// instant is a time as the files have it: UTC, RFC 3339.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// quote writes text as a CUE string on one line. Hostile text comes out as
// text: quotes, backslashes (and so interpolations), control characters and
// line separators are escaped, bytes that are no UTF-8 replaced.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case !strconv.IsPrint(r) && r < 0x10000:
			fmt.Fprintf(&b, `\u%04X`, r)
		case !strconv.IsPrint(r):
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
