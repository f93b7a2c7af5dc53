package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

// shownRows is how many rows of a list people are shown; JSON has all.
const shownRows = 12

// InspectionTables are what a file says of itself, for people: what it is, and
// the lists of its parts, of which long ones are cut.
func InspectionTables(i *fleet.Inspection) []Table {
	about := Table{Columns: Cols("fact", "value")}
	row := func(name, value string) {
		if value != "" {
			about.Add(name, value)
		}
	}
	row("file", i.Name)
	row("kind", i.Kind)
	row("size", sized(i.Size)+" ("+strconv.FormatInt(i.Size, 10)+" bytes)")
	row("digest", string(i.SHA256))
	row("deployed as", deployedAs(i))
	row("product", i.Product)
	row("publisher", i.Publisher)
	row("version", i.Version)
	row("processor", i.Arch)
	row("language", i.Language)
	row("for", map[string]string{"machine": "the whole machine", "user": "one user"}[i.Scope])
	row("needs", i.OS)
	if i.DiskMB > 0 {
		row("takes", fmt.Sprintf("%d MB on disk", i.DiskMB))
	}
	row("signed by", signedWords(i))
	row("signature", worth(i))
	row("certificate by", i.Signer.Issuer)
	row("thumbprint", i.Signer.Thumbprint)
	if i.Signer.Timestamp != nil {
		row("timestamped", i.Signer.Timestamp.UTC().Format(time.RFC3339))
	}
	for _, f := range i.Facts {
		row(f.Name, f.Value)
	}
	row("runs silently", i.Silent.Install)
	row("is removed by", i.Silent.Uninstall)
	row("bundles", strings.Join(i.Bundles, ", "))
	row("packages", strings.Join(i.Packages, ", "))
	row("updates itself", strings.Join(i.Updaters, ", "))
	out := []Table{about}
	for _, l := range i.Lists {
		out = append(out, inspectedList(l))
	}
	return out
}

func inspectedList(l fleet.InspectedList) Table {
	total := len(l.Rows) + l.More
	t := Table{Title: fmt.Sprintf("%s (%d)", l.Name, total), Columns: Cols(l.Columns...), Rows: l.Rows}
	if total > shownRows {
		t.Rows = l.Rows[:min(len(l.Rows), shownRows)]
		t.Title = fmt.Sprintf("%s (%d of %d; --format json has more)", l.Name, len(t.Rows), total)
	}
	return t
}

// deployedAs is the installer type with what made it.
func deployedAs(i *fleet.Inspection) string {
	switch {
	case i.Type == "":
		return "nothing: packmill deploys no such file"
	case i.Maker != "":
		return i.Type + ", made by " + i.Maker
	}
	return i.Type
}

func signedWords(i *fleet.Inspection) string {
	switch {
	case i.Type == "" && i.Signer.Unsigned && i.Kind != "a cabinet" && i.Kind != "a PowerShell script":
		return ""
	case i.Signer.Unsigned:
		return "nobody"
	case i.Trouble != "" && i.Signer.Subject == "":
		return "somebody: " + i.Trouble
	case i.Trouble != "":
		return i.Signer.Subject + ", by the file's own word: " + i.Trouble
	}
	return i.Signer.Subject
}

// worth is what a Windows code signature proves by itself.
func worth(i *fleet.Inspection) string {
	switch i.Verdict {
	case "selfSigned":
		return "it holds; the certificate vouches for itself, so that anybody can have made it"
	case "untrustedRoot", "good":
		return "it holds; whose root its certificates end in was not compared"
	case "goodTimestamp":
		return "it holds, and a timestamp is older than the end of its certificate; no root was compared"
	}
	return ""
}
