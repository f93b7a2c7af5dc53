package msgraph

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// TestHintOfPart names what a refused part of a batch wants: of the group, and of
// the device that is to be in it.
func TestHintOfPart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method, url string
		want        string
	}{
		"a member":     {http.MethodPost, "/groups/1/members/$ref", "grant the application Group.ReadWrite.All, Device.ReadWrite.All in"},
		"no member":    {http.MethodDelete, "/groups/1/members/2/$ref", "grant the application Group.ReadWrite.All in"},
		"anybody else": {http.MethodGet, "/users", "grant the application DeviceManagementApps.ReadWrite.All, DeviceManagementManagedDevices.Read.All, Device.ReadWrite.All, Group.ReadWrite.All in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done, err := BatchCall{Method: tt.method, URL: tt.url}.judge("v1.0", batchAnswer{Status: http.StatusForbidden})
			if done || transport.StatusOf(err) != http.StatusForbidden {
				t.Fatal(done, err)
			}
			var refused *fleet.Error
			if !errors.As((&Client{}).Fail("intune.group", "pilot", err), &refused) || !strings.HasPrefix(refused.Hint, tt.want) {
				t.Errorf("%+v, want %q", refused, tt.want)
			}
		})
	}
}
