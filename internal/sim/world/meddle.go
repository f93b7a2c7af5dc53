package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
)

// Meddle changes the description of one of packmill's apps in a tenant: as a
// person with the portal, or, when login is "", with packmill's own credential and
// behind packmill's back.
func (w *World) Meddle(ctx context.Context, tenant fleet.TenantID, login string) error {
	token := w.graph.Token(directory(tenant))
	if login != "" {
		token = w.graph.PersonToken(directory(tenant), login+"@tenant.example")
	}
	const apps = "/beta/deviceAppManagement/mobileApps"
	var list struct {
		Value []struct{ ID, Notes string }
	}
	if err := w.asSomebody(ctx, token, http.MethodGet, apps+"?$top=1000", nil, &list); err != nil {
		return err
	}
	i := slices.IndexFunc(list.Value, func(a struct{ ID, Notes string }) bool { return strings.Contains(a.Notes, "packmill: ") })
	if i < 0 {
		return fmt.Errorf("%s has no app of packmill's", tenant)
	}
	change := map[string]string{"@odata.type": "#microsoft.graph.win32LobApp", "description": "changed by hand"}
	return w.asSomebody(ctx, token, http.MethodPatch, apps+"/"+list.Value[i].ID, change, nil)
}

func (w *World) asSomebody(ctx context.Context, token, method, path string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, w.urls["graph"]+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
