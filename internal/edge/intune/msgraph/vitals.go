package msgraph

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Vitals are what a Client noticed of its tenant's service while it worked.
type Vitals struct {
	Answers int           // requests that were answered
	Fastest time.Duration // from a request to its answer, waits for the token and the pace left out
	Skew    time.Duration // the service's clock minus this machine's; whole seconds, the least that was seen
	Load    float64       // highest share of the limit that the service told of (x-ms-throttle-limit-percentage), 0 when it told of none
}

// throttleHeader tells, from 0.8 on, how much of a limit is used up (Microsoft:
// "Microsoft Graph throttling guidance"); not every service sends it.
const throttleHeader = "X-Ms-Throttle-Limit-Percentage"

// Vitals are what was noticed until now.
func (c *Client) Vitals() Vitals {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.vitals
}

// noticed takes an answer's part of the vitals.
func (c *Client) noticed(header http.Header, sent, answered time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := &c.vitals
	if took := answered.Sub(sent); v.Answers == 0 || took < v.Fastest {
		v.Fastest = took
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		// The service's second began up to a second ago, somewhere between the
		// request and its answer: within that, the clocks agree.
		skew := time.Duration(0)
		switch {
		case date.After(answered):
			skew = date.Sub(answered)
		case date.Add(time.Second).Before(sent):
			skew = date.Add(time.Second).Sub(sent)
		}
		if skew = skew.Truncate(time.Second); v.Answers == 0 || skew.Abs() < v.Skew.Abs() {
			v.Skew = skew
		}
	}
	if load, err := strconv.ParseFloat(header.Get(throttleHeader), 64); err == nil && load > v.Load && load < 100 {
		v.Load = load
	}
	v.Answers++
}

// Headroom is how many requests of any kind, and how many writes, may be sent
// at once before this process slows down by itself. Of what others use up in
// the tenant it knows nothing.
func (c *Client) Headroom() (requests, writes int) {
	now := c.clock.Now()
	return c.any.room(now), c.writes.room(now)
}

// Roles are the application permissions that the tenant granted, as the token
// tells them.
func (c *Client) Roles(ctx context.Context) ([]string, error) {
	token, err := c.bearer(ctx)
	if err != nil {
		return nil, err
	}
	read, err := claimsOf(token)
	return read.Roles, err
}

// Lasting makes sure that the token lasts a while longer, before work that must
// not end in the middle of it. The present token stays where the authority
// grants no longer one.
func (c *Client) Lasting(ctx context.Context, atLeast time.Duration) error {
	source, ok := c.token.(Lasting)
	if !ok {
		return nil
	}
	token, err := source.TokenTo(ctx, c.clock.Now().Add(atLeast))
	if err != nil {
		return err
	}
	return c.owned(token)
}
