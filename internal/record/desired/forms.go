package desired

import "cuelang.org/go/cue"

// formOf says with an example what a value of a named definition looks like, ""
// when the definition has no form of its own: CUE would show the pattern or the
// validator, which tells nobody what to write.
func formOf(def cue.Value) string {
	if _, p := def.ReferencePath(); len(p.Selectors()) == 1 {
		if form := form(p.String()); form != "" {
			return form
		}
	}
	op, parts := def.Expr()
	if op != cue.OrOp && op != cue.AndOp {
		return ""
	}
	for _, part := range parts {
		if form := formOf(part); form != "" {
			return form
		}
	}
	return ""
}

func form(definition string) string {
	switch definition {
	case "#Id":
		return `an id: lower-case words, digits and hyphens, parts separated by "/", such as "igor-pavlov/7-zip"`
	case "#Name":
		return `a name: letters, digits and ._- without spaces, such as "year-end"`
	case "#Digest":
		return `a digest: "sha256:" and 64 hexadecimal digits in lower case`
	case "#Duration":
		return `a duration such as "90m" or "24h"; a day is "24h"`
	case "#Instant":
		return `an instant such as "2026-11-18T06:00:00Z" or "2026-11-18T08:00:00+02:00"`
	case "#Date":
		return `a date such as "2026-11-18"`
	case "#Clock":
		return `a time on a 24-hour clock such as "06:00" or "16:00"`
	case "#CycleId":
		return `the id of a cycle: the ISO week of its cut-off such as "2026-W47", or "2026-W47-cve-01"`
	case "#Percent":
		return "a percentage from 0 to 100"
	case "#Version":
		return `a version as the vendor writes it, such as "24.09", on one line`
	case "#Path":
		return `a path below the file's own folder, such as "files/detect.ps1"`
	case "#HTTPS":
		return `an https address such as "https://example.com/setup.msi"`
	case "#PURL":
		return `a package URL of npm or deb such as "pkg:npm/@esbuild/win32-x64@0.27.0"`
	default:
		return ""
	}
}
