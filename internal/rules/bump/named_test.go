package bump

import (
	"strings"
	"testing"
)

func TestNamed(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "no CVE here": "", "CVE-2024-1": "", "xCVE-2024-11477": "",
		"Fixes CVE-2024-11477, CVE-2023-40481 and CVE-2024-11477.": "CVE-2023-40481 CVE-2024-11477",
	} {
		if got := strings.Join(Named(in), " "); got != want {
			t.Errorf("%q names %q, want %q", in, got, want)
		}
	}
}
