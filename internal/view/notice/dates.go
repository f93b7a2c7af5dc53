package notice

import (
	"fmt"
	"strings"
	"time"
)

// Day is t's date in a language, with its weekday: "Monday 23 November 2026".
// A language that is not known here gets "2026-11-23", which is understood
// everywhere.
func Day(t time.Time, lang string) string {
	base, _, _ := strings.Cut(strings.ToLower(lang), "-")
	weekday := int(t.Weekday())
	switch base {
	case "en":
		return t.Format("Monday 2 January 2006")
	case "de":
		days := [7]string{"Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"}
		return fmt.Sprintf("%s, %s", days[weekday], t.Format("2.1.2006"))
	case "fi":
		days := [7]string{"sunnuntaina", "maanantaina", "tiistaina", "keskiviikkona", "torstaina", "perjantaina", "lauantaina"}
		return fmt.Sprintf("%s %s", days[weekday], t.Format("2.1.2006"))
	case "sv":
		days := [7]string{"söndag", "måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag"}
		return fmt.Sprintf("%s %s", days[weekday], t.Format("2006-01-02"))
	}
	return t.Format(time.DateOnly)
}

// Clock is t's time of day, as all of these languages write it.
func Clock(t time.Time) string { return t.Format("15:04") }
