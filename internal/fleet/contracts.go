package fleet

import (
	"context"
	"sync"
	"time"
)

// A Clock tells the time and waits. Nothing in packmill reads another one.
type Clock interface {
	// Now is the present instant in UTC.
	Now() time.Time
	// Sleep waits for d or until ctx ends, whose error it then returns.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now is the machine's time in UTC.
func (SystemClock) Now() time.Time { return time.Now().UTC() }

// Sleep waits in real time.
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// A ManualClock stands where it was set. Sleeping moves it on at once, so that
// a back-off costs no real time. It is safe for concurrent use.
type ManualClock struct {
	mu  sync.Mutex
	now time.Time
}

// NewManualClock is a clock standing at now.
func NewManualClock(now time.Time) *ManualClock { return &ManualClock{now: now.UTC()} }

// Now is where the clock stands.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set moves the clock to t.
func (c *ManualClock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t.UTC()
}

// Sleep moves the clock on by d and returns at once.
func (c *ManualClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return nil
}

// A Signer makes DSSE envelopes (secure-systems-lab/dsse, v1.0.2) with one key.
type Signer interface {
	// KeyID names the key: base64 of SHA-256 of its DER SubjectPublicKeyInfo.
	KeyID() string
	// Envelope is the JSON of a DSSE envelope over payload.
	Envelope(ctx context.Context, payloadType string, payload []byte) ([]byte, error)
}

// A Verifier opens DSSE envelopes made with keys it trusts.
type Verifier interface {
	// Open returns the payload if the envelope has the payload type and a
	// signature by a trusted key that was in force at the instant at;
	// otherwise an *Error of kind Refused.
	Open(envelope []byte, payloadType string, at time.Time) ([]byte, error)
}

// An Identity is who commits: the author and committer of a git commit.
type Identity struct {
	Name  string
	Email string
}
