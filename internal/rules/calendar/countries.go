package calendar

import (
	"slices"
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/aa"
	"github.com/rickar/cal/v2/ar"
	austria "github.com/rickar/cal/v2/at"
	"github.com/rickar/cal/v2/au"
	"github.com/rickar/cal/v2/be"
	"github.com/rickar/cal/v2/bg"
	"github.com/rickar/cal/v2/br"
	"github.com/rickar/cal/v2/ca"
	"github.com/rickar/cal/v2/ch"
	"github.com/rickar/cal/v2/cz"
	"github.com/rickar/cal/v2/de"
	"github.com/rickar/cal/v2/dk"
	"github.com/rickar/cal/v2/es"
	"github.com/rickar/cal/v2/fr"
	"github.com/rickar/cal/v2/gb"
	"github.com/rickar/cal/v2/gr"
	"github.com/rickar/cal/v2/hr"
	"github.com/rickar/cal/v2/ie"
	"github.com/rickar/cal/v2/it"
	"github.com/rickar/cal/v2/jp"
	"github.com/rickar/cal/v2/lt"
	"github.com/rickar/cal/v2/lv"
	"github.com/rickar/cal/v2/mw"
	"github.com/rickar/cal/v2/nc"
	"github.com/rickar/cal/v2/nl"
	"github.com/rickar/cal/v2/no"
	"github.com/rickar/cal/v2/nz"
	"github.com/rickar/cal/v2/pl"
	"github.com/rickar/cal/v2/ro"
	"github.com/rickar/cal/v2/ru"
	"github.com/rickar/cal/v2/se"
	"github.com/rickar/cal/v2/si"
	"github.com/rickar/cal/v2/sk"
	"github.com/rickar/cal/v2/ua"
	"github.com/rickar/cal/v2/us"
	"github.com/rickar/cal/v2/za"
)

// Countries are the ISO 3166 codes whose holidays are known, sorted: countries,
// and the parts of them that have holidays of their own.
func Countries() []string {
	var out []string
	for _, r := range regions() {
		out = append(out, r.code)
	}
	slices.Sort(out)
	return out
}

// A region is a country or a part of one, with its holidays.
type region struct {
	code string
	days []*cal.Holiday
}

// regions are the lists of github.com/rickar/cal/v2, and those it lacks.
func regions() []region { return slices.Concat(countries(), states(), cantons()) }

func countries() []region {
	return []region{
		{"AR", ar.Holidays},
		{"AT", austria.Holidays},
		{"BE", be.Holidays},
		{"BG", bg.Holidays},
		{"BR", br.Holidays},
		{"CA", ca.Holidays},
		{"CH", ch.Holidays},
		{"CZ", cz.Holidays},
		{"DE", de.Holidays},
		{"DK", dk.Holidays},
		{"ES", es.Holidays},
		{"FR", fr.Holidays},
		{"GB", gb.Holidays},
		{"GR", gr.Holidays},
		{"HR", hr.Holidays},
		{"IE", ie.Holidays},
		{"IT", it.Holidays},
		{"JP", jp.Holidays},
		{"LT", lt.Holidays},
		{"LV", lv.Holidays},
		{"MW", mw.Holidays},
		{"NC", nc.Holidays},
		{"NL", nl.Holidays},
		{"NO", no.Holidays},
		{"NZ", nz.Holidays},
		{"PL", pl.Holidays},
		{"RO", ro.Holidays},
		{"RU", ru.Holidays},
		{"SE", se.Holidays},
		{"SI", si.Holidays},
		{"SK", sk.Holidays},
		{"UA", ua.Holidays},
		{"US", us.Holidays},
		{"ZA", za.Holidays},
		{"FI", finland()},
	}
}

// states are those of Australia and Germany.
func states() []region {
	return []region{
		{"AU-ACT", au.HolidaysACT},
		{"AU-NSW", au.HolidaysNSW},
		{"AU-NT", au.HolidaysNT},
		{"AU-QLD", au.HolidaysQLD},
		{"AU-SA", au.HolidaysSA},
		{"AU-TAS", au.HolidaysTAS},
		{"AU-VIC", au.HolidaysVIC},
		{"AU-WA", au.HolidaysWA},
		{"DE-BW", de.HolidaysBW},
		{"DE-BY", de.HolidaysBY},
		{"DE-BE", de.HolidaysBE},
		{"DE-BB", de.HolidaysBB},
		{"DE-HB", de.HolidaysHB},
		{"DE-HH", de.HolidaysHH},
		{"DE-HE", de.HolidaysHE},
		{"DE-MV", de.HolidaysMV},
		{"DE-NI", de.HolidaysNI},
		{"DE-NW", de.HolidaysNW},
		{"DE-RP", de.HolidaysRP},
		{"DE-SL", de.HolidaysSL},
		{"DE-SN", de.HolidaysSN},
		{"DE-ST", de.HolidaysST},
		{"DE-SH", de.HolidaysSH},
		{"DE-TH", de.HolidaysTH},
	}
}

// cantons are those of Switzerland.
func cantons() []region {
	return []region{
		{"CH-ZH", ch.HolidaysZH},
		{"CH-BE", ch.HolidaysBE},
		{"CH-LU", ch.HolidaysLU},
		{"CH-UR", ch.HolidaysUR},
		{"CH-SZ", ch.HolidaysSZ},
		{"CH-OW", ch.HolidaysOW},
		{"CH-NW", ch.HolidaysNW},
		{"CH-GL", ch.HolidaysGL},
		{"CH-ZG", ch.HolidaysZG},
		{"CH-FR", ch.HolidaysFR},
		{"CH-SO", ch.HolidaysSO},
		{"CH-BS", ch.HolidaysBS},
		{"CH-BL", ch.HolidaysBL},
		{"CH-SH", ch.HolidaysSH},
		{"CH-AR", ch.HolidaysAR},
		{"CH-AI", ch.HolidaysAI},
		{"CH-SG", ch.HolidaysSG},
		{"CH-GR", ch.HolidaysGR},
		{"CH-AG", ch.HolidaysAG},
		{"CH-TG", ch.HolidaysTG},
		{"CH-VD", ch.HolidaysVD},
		{"CH-TI", ch.HolidaysTI},
		{"CH-VS", ch.HolidaysVS},
		{"CH-NE", ch.HolidaysNE},
		{"CH-GE", ch.HolidaysGE},
		{"CH-JU", ch.HolidaysJU},
	}
}

// finland are the days on which Finnish law gives a day off: laki 388/1937
// (Independence Day), laki 272/1944 (1 May) and kirkkolaki, as the working time
// of offices follows them. Eves are days off by agreement, not by law: add them.
func finland() []*cal.Holiday {
	public := func(h *cal.Holiday) *cal.Holiday { return h.Clone(&cal.Holiday{Type: cal.ObservancePublic}) }
	return []*cal.Holiday{
		public(aa.NewYear), public(aa.Epiphany), public(aa.GoodFriday), public(aa.EasterMonday), public(aa.WorkersDay), public(aa.AscensionDay),
		{Name: "Juhannuspäivä", Type: cal.ObservancePublic, Month: time.June, Day: 20, Weekday: time.Saturday, Offset: 1, Func: cal.CalcWeekdayFrom},
		{Name: "Pyhäinpäivä", Type: cal.ObservancePublic, Month: time.October, Day: 31, Weekday: time.Saturday, Offset: 1, Func: cal.CalcWeekdayFrom},
		{Name: "Itsenäisyyspäivä", Type: cal.ObservancePublic, Month: time.December, Day: 6, Func: cal.CalcDayOfMonth},
		public(aa.ChristmasDay), public(aa.ChristmasDay2),
	}
}
