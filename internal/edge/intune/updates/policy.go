package updates

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/packmill/packmill/internal/edge/intune/msgraph"
	"github.com/packmill/packmill/internal/transport"
)

// A policy of the deployment service approves drivers for an audience. Like a
// deployment it has no name: it is packmill's if its audience is.

type policyDoc struct {
	ID       string `json:"id"`
	Audience *struct {
		ID string `json:"id"`
	} `json:"audience"`
}

// A ContentApproval is one driver that a policy lets its audience have.
type ContentApproval struct {
	ID      string
	Entry   string // id of the catalog entry
	Revoked bool
}

type approvalDoc struct {
	ODataType string `json:"@odata.type"`
	ID        string `json:"id"`
	Revoked   bool   `json:"isRevoked"`
	Content   *struct {
		Entry *struct {
			ID string `json:"id"`
		} `json:"catalogEntry"`
	} `json:"content"`
}

const odataApproval = "#" + namespace + "contentApproval"

// EnsurePolicy makes sure that an audience has a policy, and returns its id. Of
// several the first by id is used.
func (c *Client) EnsurePolicy(ctx context.Context, audience string) (string, error) {
	var id string
	err := c.api.Persist(ctx, func() error {
		var err error
		if id, err = c.policyOf(ctx, audience); err != nil || id != "" {
			return err
		}
		body := map[string]any{"@odata.type": "#" + namespace + "updatePolicy", "audience": map[string]any{"id": audience}}
		var made policyDoc
		if err := c.api.Call(ctx, msgraph.Fresh, http.MethodPost, policiesPath, body, &made); err != nil {
			return err
		}
		if id = made.ID; id == "" {
			return fmt.Errorf("the service created a policy without telling its id")
		}
		return nil
	})
	return id, c.fail("intune.policy", Key{Part: audience}, err)
}

func (c *Client) policyOf(ctx context.Context, audience string) (string, error) {
	all, err := msgraph.List[policyDoc](ctx, c.api, msgraph.Final, msgraph.Query(policiesPath, "$expand", "audience"))
	if err != nil {
		return "", err
	}
	slices.SortFunc(all, func(a, b policyDoc) int { return cmp.Compare(a.ID, b.ID) })
	for _, p := range all {
		if p.Audience != nil && p.Audience.ID == audience {
			return p.ID, nil
		}
	}
	return "", nil
}

// Approvals lists what a policy lets its audience have, and what it did before.
func (c *Client) Approvals(ctx context.Context, policy string) ([]ContentApproval, error) {
	out, err := c.approvals(ctx, policy)
	return out, c.fail("intune.policy", Key{Part: policy}, err)
}

func (c *Client) approvals(ctx context.Context, policy string) ([]ContentApproval, error) {
	all, err := msgraph.List[approvalDoc](ctx, c.api, msgraph.Fresh, approvalsPath(policy))
	if err != nil {
		return nil, err
	}
	var out []ContentApproval
	for _, d := range all {
		if d.ODataType != odataApproval || d.Content == nil || d.Content.Entry == nil {
			continue
		}
		out = append(out, ContentApproval{d.ID, d.Content.Entry.ID, d.Revoked})
	}
	slices.SortFunc(out, func(a, b ContentApproval) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// ApproveContent lets the audience of a policy have a driver, from start on or at
// once. It writes nothing when that is so already.
func (c *Client) ApproveContent(ctx context.Context, policy, entry string, start time.Time) error {
	return c.fail("intune.policy", Key{Part: policy}, c.api.Persist(ctx, func() error {
		present, err := c.approvals(ctx, policy)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(present, func(a ContentApproval) bool { return a.Entry == entry && !a.Revoked }) {
			return nil
		}
		body := map[string]any{"@odata.type": odataApproval, "content": map[string]any{
			"@odata.type": "#" + namespace + "catalogContent", "catalogEntry": map[string]any{"@odata.type": "#" + namespace + "driverUpdateCatalogEntry", "id": entry},
		}}
		if !start.IsZero() {
			body["deploymentSettings"] = map[string]any{"@odata.type": namespace + "deploymentSettings", "schedule": map[string]any{"startDateTime": utc(start)}}
		}
		return c.api.Call(ctx, msgraph.Fresh, http.MethodPost, approvalsPath(policy), body, nil)
	}))
}

// RevokeContent takes every approval of a driver back that a policy has. Devices
// keep what they installed.
func (c *Client) RevokeContent(ctx context.Context, policy, entry string) error {
	return c.fail("intune.policy", Key{Part: policy}, c.api.Persist(ctx, func() error {
		present, err := c.approvals(ctx, policy)
		if err != nil {
			return err
		}
		for _, a := range present {
			if a.Entry != entry || a.Revoked {
				continue
			}
			body := map[string]any{"@odata.type": odataApproval, "isRevoked": true}
			if err := c.api.Call(transport.Repeatable(ctx), msgraph.Fresh, http.MethodPatch, approvalPath(policy, a.ID), body, nil); err != nil {
				return err
			}
		}
		return nil
	}))
}
