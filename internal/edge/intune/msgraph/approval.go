package msgraph

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// Headers of Multi Admin Approval (Microsoft Intune: "Use Multi Admin Approval
// with the Microsoft Graph API"). A protected write carries a justification and
// is answered with the code of a request for approval; once that is approved,
// the same write is sent again with the code. Of both, only one goes along.
const (
	justificationHeader = "X-Msft-Approval-Justification" // base64 of UTF-8 text
	codeHeader          = "X-Msft-Approval-Code"          // id of the request
	maxJustification    = 1024                            // characters, before base64
)

const (
	approvalPoliciesPath = "/beta/deviceManagement/operationApprovalPolicies"
	approvalRequestsPath = "/beta/deviceManagement/operationApprovalRequests"
)

// approvalsFor is how long a list of requests is believed.
const approvalsFor = time.Minute

// An ApprovalPolicy says that one kind of change needs a second person.
type ApprovalPolicy struct {
	ID   string `json:"id"`
	Name string `json:"displayName"`
	Type string `json:"policyType"` // app, script, …; kinds this version does not know as well
}

// An ApprovalRequest is a change that was held until somebody approves it.
type ApprovalRequest struct {
	ID            string    `json:"id"`
	Status        string    `json:"status"` // needsApproval, approved, rejected, cancelled, completed, expired
	Justification string    `json:"requestJustification"`
	Answer        string    `json:"approvalJustification"`
	Requested     time.Time `json:"requestDateTime"`
	Expires       time.Time `json:"expirationDateTime"`
}

// Ours reports whether packmill asked for it.
func (r ApprovalRequest) Ours() bool { return strings.HasPrefix(r.text(), approvalMark) }

// Open reports whether it waits: for an approver, or for being completed.
func (r ApprovalRequest) Open() bool { return r.Status == "needsApproval" || r.Status == "approved" }

// Reason is why packmill asked for it.
func (r ApprovalRequest) Reason() string {
	reason, _, _ := strings.Cut(strings.TrimPrefix(r.text(), approvalMark), " call ")
	return reason
}

// text is the justification as it was given: the service may tell it as it came.
func (r ApprovalRequest) text() string {
	if data, err := base64.StdEncoding.DecodeString(r.Justification); err == nil && strings.HasPrefix(string(data), approvalMark) {
		return string(data)
	}
	return r.Justification
}

// approvalMark begins every justification of packmill's.
const approvalMark = "packmill "

// ApprovalPolicies lists the tenant's policies; a tenant without any holds
// nothing back.
func (c *Client) ApprovalPolicies(ctx context.Context) ([]ApprovalPolicy, error) {
	return List[ApprovalPolicy](ctx, c, Final, approvalPoliciesPath)
}

// ApprovalRequests lists the requests that the tenant still shows, newest first.
func (c *Client) ApprovalRequests(ctx context.Context) ([]ApprovalRequest, error) {
	list, err := List[ApprovalRequest](ctx, c, Final, approvalRequestsPath)
	slices.SortStableFunc(list, func(a, b ApprovalRequest) int { return b.Requested.Compare(a.Requested) })
	return list, err
}

// Guard has every write that a policy may protect carry a justification from the
// first try on. Without it, the first refusal teaches the client the same; but a
// creation that is refused for lack of one can leave a stub behind.
func (c *Client) Guard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guarded = true
}

// Requested reports whether exactly this write waits for an approval, or has
// one. Where no write is held it costs no request.
func (c *Client) Requested(ctx context.Context, method, path string, body any) (bool, error) {
	if !c.holds(method, path) {
		return false, nil
	}
	data, err := marshal(body)
	if err != nil {
		return false, err
	}
	r, err := c.requestFor(ctx, c.callID(method, path, data))
	return r != nil && r.Open(), err
}

// holds reports whether a write may be one that the tenant's policies protect.
func (c *Client) holds(method, path string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.guarded || method == http.MethodGet || strings.Contains(path, "/reports/") || strings.Contains(path, "/operationApproval") {
		return false
	}
	return strings.Contains(path, "/deviceAppManagement/") || strings.Contains(path, "/deviceManagement/")
}

// callID names a write: what is approved is this and nothing else.
func (c *Client) callID(method, path string, body []byte) string {
	return fleet.DeriveID("approval", c.directory, method, path, string(body))[:16]
}

// requestFor is the newest request for a call, nil when there is none.
func (c *Client) requestFor(ctx context.Context, call string) (*ApprovalRequest, error) {
	c.mu.Lock()
	known, read := c.requests, c.requestsAt
	c.mu.Unlock()
	if now := c.clock.Now(); read.IsZero() || now.Sub(read) >= approvalsFor {
		list, err := c.ApprovalRequests(ctx)
		if err != nil {
			return nil, err
		}
		known = list
		c.mu.Lock()
		c.requests, c.requestsAt = list, now
		c.mu.Unlock()
	}
	for i := range known {
		if known[i].Ours() && strings.Contains(known[i].text(), " call "+call) {
			return &known[i], nil
		}
	}
	return nil, nil
}

// justify gives a write what the tenant's policies ask for: the code of its
// approval, or a justification. What waits, or was rejected, is not sent; what was
// rejected for another reason is asked for again, since to stop one release may
// take the same call as to stop an earlier one.
func (c *Client) justify(ctx context.Context, req *http.Request, path string, body []byte) error {
	if !c.holds(req.Method, path) {
		return nil
	}
	call := c.callID(req.Method, path, body)
	r, err := c.requestFor(ctx, call)
	if err != nil {
		return err
	}
	switch {
	case r != nil && r.Status == "approved":
		req.Header.Set(codeHeader, r.ID)
	case r != nil && r.Status == "needsApproval":
		return c.awaits(r.ID, r.Expires)
	case r != nil && r.Status == "rejected" && r.text() == justification(fleet.ReasonOf(ctx), call):
		why := ""
		if r.Answer != "" {
			why = ": " + r.Answer
		}
		return &fleet.Error{Op: "intune.approval", Object: c.directory, Kind: fleet.Refused, Err: fmt.Errorf("an administrator of the tenant rejected request %s%s", r.ID, why),
			Hint: "agree with them, then change the plan, or hold the package in this tenant: this very change is not asked for again"}
	default:
		req.Header.Set(justificationHeader, base64.StdEncoding.EncodeToString([]byte(justification(fleet.ReasonOf(ctx), call))))
	}
	return nil
}

// justification is the text that approvers read: why, and which call it is for,
// by which a later run finds it again.
func justification(reason, call string) string {
	if reason == "" {
		reason = "keeps its apps as git says"
	}
	tail := " call " + call
	runes := []rune(approvalMark + strings.ReplaceAll(reason, " call ", " "))
	return string(runes[:min(len(runes), maxJustification-len(tail))]) + tail
}

var approvalCode = regexp.MustCompile(`(?i)x-msft-approval-code[^0-9a-f]{1,8}([0-9a-f]{8}-[0-9a-f-]{27})`)

// held makes of a refused write what it means where changes need an approval:
// it waits for one. again says that it was sent without a justification, which
// the client now knows to be needed. Every other error stays as it is.
func (c *Client) held(err error) (held error, again bool) {
	var status *transport.StatusError
	if !errors.As(err, &status) {
		return err, false
	}
	text := string(status.Body)
	code := status.Header.Get(codeHeader)
	if m := approvalCode.FindStringSubmatch(text); code == "" && m != nil {
		code = m[1]
	}
	switch status.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusPreconditionFailed:
		if code != "" {
			c.forgetRequests()
			return c.awaits(code, time.Time{}), false
		}
		if strings.Contains(strings.ToLower(text), "x-msft-approval-justification") {
			first := !c.Guarded()
			c.Guard()
			return err, first
		}
	case http.StatusConflict:
		if strings.Contains(text, "active Approval Request") {
			c.Guard()
			c.forgetRequests()
			return &fleet.Error{Op: "intune.approval", Object: c.directory, Kind: fleet.Stalled,
				Err:  fmt.Errorf("%w: another change of the same object is being asked for", fleet.ErrAwaitsApproval),
				Hint: approveHint}, false
		}
	}
	return err, false
}

const approveHint = "an administrator of the tenant decides: Intune admin center › Tenant administration › Multi Admin Approval › Received requests; the next run goes on, within three days"

// awaits is the error of a write that waits for an approval.
func (c *Client) awaits(id string, expires time.Time) error {
	until := ""
	if !expires.IsZero() {
		until = ", until " + expires.UTC().Format("2006-01-02 15:04Z")
	}
	return &fleet.Error{Op: "intune.approval", Object: c.directory, Kind: fleet.Stalled, Err: fmt.Errorf("%w: request %s%s", fleet.ErrAwaitsApproval, id, until), Hint: approveHint}
}

// LearnGuard reads the tenant's policies, once, before a write that should carry a
// justification from the first try on. What cannot be read holds nothing: the
// refusal of a write teaches the same later.
func (c *Client) LearnGuard(ctx context.Context) error {
	c.mu.Lock()
	known := c.guarded || c.learned
	c.mu.Unlock()
	if known {
		return nil
	}
	policies, err := c.ApprovalPolicies(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.log.DebugContext(ctx, "policies of Multi Admin Approval cannot be read", "tenant", c.directory, "error", err)
	}
	if slices.ContainsFunc(policies, ApprovalPolicy.holds) {
		c.Guard()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.learned = true
	return nil
}

// holds reports whether a policy may hold a change of packmill's. A kind that is
// not known may.
func (p ApprovalPolicy) holds() bool {
	switch p.Type {
	case "deviceWipe", "deviceRetire", "deviceDelete", "role":
		return false
	}
	return true
}

// Guarded reports whether the tenant is known to hold changes for an approval.
func (c *Client) Guarded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.guarded
}

func (c *Client) forgetRequests() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests, c.requestsAt = nil, time.Time{}
}
