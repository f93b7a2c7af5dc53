package upstream

import (
	"context"
	"net/url"
	"strings"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
)

// pypi reads a project's page of the configured index: as JSON where the index
// has that (PEP 691), else as HTML (PEP 503).
func (c *Client) pypi(ctx context.Context, feed fleet.PyPI) ([]releases.Entry, error) {
	index, err := c.pypiIndex(ctx)
	if err != nil {
		return nil, err
	}
	address := strings.TrimSuffix(index, "/") + "/" + releases.PythonName(feed.Project) + "/"
	base, err := url.Parse(address)
	if err != nil {
		return nil, holdf(fleet.HoldUnreachable, "the configured Python package index has no address")
	}
	body, err := c.get(ctx, query{url: address, client: c.configured, header: map[string]string{
		"Accept": "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1",
	}})
	if err != nil {
		return nil, err
	}
	base.User = nil // what the index is asked with is no part of its files' addresses
	list, err := releases.PyPI(body, feed.Project, base)
	return list, unread("Python project "+feed.Project, err)
}

// pypiIndex is the configured index; pip itself is asked once in a run at most.
func (c *Client) pypiIndex(ctx context.Context) (string, error) {
	if c.config.PyPIIndex != "" {
		return c.config.PyPIIndex, nil
	}
	return c.pip.get(ctx, "", func() (string, error) {
		if c.config.AskPyPI != nil {
			if index := c.config.AskPyPI(ctx); index != "" {
				return index, nil
			}
		}
		return "", holdf(fleet.HoldUnreachable, "no Python package index is configured (pip config get global.index-url)")
	})
}
