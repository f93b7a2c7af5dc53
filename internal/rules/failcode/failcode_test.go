package failcode

import (
	"slices"
	"testing"
)

func TestWords(t *testing.T) {
	for code, want := range map[string]string{
		"0x87D1041C": "installed, but not detected afterwards", "0x87d1041c": "installed, but not detected afterwards",
		"-2016345060": "installed, but not detected afterwards", "2278622236": "installed, but not detected afterwards",
		"0x87D30068": "the content could not be downloaded",
		"0x80070643": "fatal error during the installation", "0x643": "fatal error during the installation", "1603": "fatal error during the installation", "0x00000643": "fatal error during the installation",
		"1618": "another installation was running", "0x80070652": "another installation was running",
		"1641": "installed, and the device restarts", "3010": "installed, a restart is needed", "0x80070bc2": "installed, a restart is needed",
		"0x8007007E": "a module was not found", "0x80070002": "a file was not found", "0x80070005": "access denied", "0x80070070": "not enough disk space",
		"79001": "put off: outside the maintenance window", "0x13499": "put off: outside the maintenance window",
		"0x87d39999": "", "0x0": "", "": "", "x": "", "0x1ffffffff": "", "-99999999999": "", "not-asked": "",
	} {
		if got := Words(code); got != want {
			t.Errorf("%q: %q, want %q", code, got, want)
		}
	}
}

func TestTell(t *testing.T) {
	got := TellAll([]string{"0x80070643", "0x87d39999"})
	if want := []string{"0x80070643 (fatal error during the installation)", "0x87d39999"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"0x87D1041C", "-2016345060", "1603", "0x", "+1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, code string) {
		if got := Tell(code); len(got) < len(code) {
			t.Errorf("%q became %q", code, got)
		}
	})
}
