package forge

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/transport"
)

// fail gives an error of the forge its kind and the next step.
func (c *Client) fail(op, object string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var own *fleet.Error
	if errors.As(err, &own) {
		return err
	}
	e := &fleet.Error{Op: op, Object: object, Kind: fleet.Internal, Err: errors.New(c.redact(err.Error()))}
	var limit *limitError
	if errors.As(err, &limit) {
		e.Kind, e.Err, e.Hint = fleet.Waiting, limit, "run the command again then; nothing is lost"
		return e
	}
	said := answer(err)
	if said == nil || said.Response == nil {
		e.Hint = "is the forge reachable? " + c.api.BaseURL.Host
		return e
	}
	e.Err = errors.New(c.redact(words(said)))
	c.judge(e, said)
	return e
}

// judge sets kind and hint by what the forge answered.
func (c *Client) judge(e *fleet.Error, said *github.ErrorResponse) {
	message := strings.ToLower(words(said))
	switch said.Response.StatusCode {
	case http.StatusUnauthorized:
		e.Kind, e.Hint = fleet.Refused, "the token is missing, wrong or expired"
	case http.StatusForbidden:
		e.Kind, e.Hint = fleet.Refused, "the token may not do this on "+c.repository()+": it needs write access to pull requests, and to checks or statuses"
	case http.StatusNotFound, http.StatusGone:
		e.Kind, e.Hint = fleet.Invalid, "look at the name "+c.repository()+"; a token without access to a private repository gives the same answer"
	case http.StatusMethodNotAllowed:
		e.Kind, e.Hint = fleet.Waiting, "review the pull request on the forge"
		if strings.Contains(message, "conflict") || strings.Contains(message, "not mergeable") {
			e.Kind, e.Hint = fleet.Stalled, "the branch conflicts with main: rebase it"
		}
	case http.StatusConflict:
		e.Kind, e.Hint = fleet.Waiting, "the branch has moved: look at its new commits and run the command again"
	case http.StatusUnprocessableEntity:
		e.Kind = fleet.Invalid
		if strings.Contains(message, "your own pull request") {
			e.Kind, e.Hint = fleet.Refused, "another person must review it"
		}
	}
}

// answer is the forge's answer in err's chain; go-github has several types
// for it.
func answer(err error) *github.ErrorResponse {
	var plain *github.ErrorResponse
	var factor *github.TwoFactorAuthError
	var abuse *github.AbuseRateLimitError
	var rate *github.RateLimitError
	switch {
	case errors.As(err, &plain):
		return plain
	case errors.As(err, &factor):
		return (*github.ErrorResponse)(factor)
	case errors.As(err, &abuse):
		return &github.ErrorResponse{Response: abuse.Response, Message: abuse.Message}
	case errors.As(err, &rate):
		return &github.ErrorResponse{Response: rate.Response, Message: rate.Message}
	}
	return nil
}

// words is what the forge said, on one line.
func words(said *github.ErrorResponse) string {
	parts := []string{said.Message}
	for _, e := range said.Errors {
		switch {
		case e.Message != "":
			parts = append(parts, e.Message)
		case e.Field != "":
			parts = append(parts, strings.TrimSpace(e.Resource+" "+e.Field+": "+e.Code))
		}
	}
	text := strings.Join(strings.Fields(strings.Join(parts, "; ")), " ")
	if text == "" || text == ";" {
		text = "no explanation"
	}
	return "the forge answered " + said.Response.Status + ": " + text
}

// redact takes credentials out of a text.
func (c *Client) redact(text string) string {
	if c.o.Token != "" {
		text = strings.ReplaceAll(text, c.o.Token, "(hidden)")
	}
	return transport.Redact(text)
}

// status is the HTTP status of the forge's answer in err's chain, 0 without
// one.
func status(err error) int {
	if said := answer(err); said != nil && said.Response != nil {
		return said.Response.StatusCode
	}
	return 0
}
