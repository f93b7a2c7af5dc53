package msgraph

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/packmill/packmill/internal/fleet"
)

const directory = "7f6e1c52-0000-4000-8000-000000000001"

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing": {}, "no token": {Directory: directory}, "address": {Directory: directory, Token: Static("x"), BaseURL: "ftp://x"},
	} {
		if _, err := New(o); fleet.KindOf(err) != fleet.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPace keeps any window within the limit.
func TestPace(t *testing.T) {
	clock := fleet.NewManualClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	c, err := New(Options{Directory: directory, Token: Static("none"), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	start := clock.Now()
	for range 250 {
		if err := c.pace(t.Context(), true, 1); err != nil {
			t.Fatal(err)
		}
	}
	// 100 at once, then 100 after 20 seconds and a little, and so on.
	if took := clock.Now().Sub(start); took != 42*time.Second {
		t.Errorf("250 writes took %v", took)
	}
}

func TestClaimsOf(t *testing.T) {
	token := func(claims string) string { return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." }
	if c, err := claimsOf(token(`{"tid":"abc","roles":["Device.Read.All"]}`)); err != nil || c.TID != "abc" || len(c.Roles) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"", "a.b", "a.%.c", token(`{"tid":""}`), token(`[]`), token(`{`)} {
		if c, err := claimsOf(bad); err == nil {
			t.Errorf("%q belongs to %q", bad, c.TID)
		}
	}
}
