package view

import (
	"strconv"
	"strings"
	"time"
)

// A PatchRow is one build that a patch of Windows brings devices to.
type PatchRow struct {
	KB, Name, Windows, Build string
	Released                 time.Time
	Classification, Severity string
	Score                    float64 // 0 when none is told
	Exploited                []string
	Packages                 string
}

// PatchTable lists patches of Windows.
func PatchTable(rows []PatchRow) Table {
	t := Table{
		Columns: Cols("released", "kb", "windows", "build", "what", "severity", "score>", "exploited", "package", "name"),
		Empty:   "Windows Update has released nothing since then",
	}
	for _, r := range rows {
		score := ""
		if r.Score > 0 {
			score = strconv.FormatFloat(r.Score, 'f', 1, 64)
		}
		t.Add(r.Released.UTC().Format(time.DateOnly), r.KB, r.Windows, r.Build, r.Classification, r.Severity, score, strings.Join(r.Exploited, " "), r.Packages, r.Name)
	}
	return t
}

// A VersionRow is one version of Windows that devices can be taken to.
type VersionRow struct {
	Name, Build, Packages string
	Released, Until       time.Time // Until is zero where no end is known
}

// VersionTable lists versions of Windows.
func VersionTable(rows []VersionRow) Table {
	t := Table{Title: "Versions of Windows", Columns: Cols("released", "until", "build", "package", "name")}
	for _, r := range rows {
		until := ""
		if !r.Until.IsZero() {
			until = r.Until.UTC().Format(time.DateOnly)
		}
		t.Add(r.Released.UTC().Format(time.DateOnly), until, r.Build, r.Packages, r.Name)
	}
	return t
}

// An IssueRow is one known issue of Windows.
type IssueRow struct {
	Windows, KB, Status, FixedBy, Title string
	Since                               time.Time
}

// IssueTable lists known issues of Windows.
func IssueTable(rows []IssueRow) Table {
	t := Table{Title: "Known issues of Windows", Columns: Cols("since", "windows", "from", "status", "fixed by", "what")}
	for _, r := range rows {
		t.Add(r.Since.UTC().Format(time.DateOnly), r.Windows, r.KB, r.Status, r.FixedBy, r.Title)
	}
	return t
}
