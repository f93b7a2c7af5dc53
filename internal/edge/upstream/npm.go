package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/transport"
)

// npmDocument is the part of a registry's package document that is read
// (github.com/npm/registry, docs/responses/package-metadata.md).
type npmDocument struct {
	DistTags map[string]string     `json:"dist-tags"`
	Time     map[string]string     `json:"time"`
	Versions map[string]npmVersion `json:"versions"`
}

type npmVersion struct {
	Version    string `json:"version"`
	Deprecated any    `json:"deprecated"`
	Dist       struct {
		Tarball   string `json:"tarball"`
		Integrity string `json:"integrity"`
		Shasum    string `json:"shasum"`
	} `json:"dist"`
}

// npm reads the version that a dist-tag names, and its time.
func (c *Client) npm(ctx context.Context, feed fleet.NPM) (told, error) {
	doc, err := c.npmDocument(ctx, feed.Package)
	if err != nil {
		return told{}, err
	}
	tag := feed.Tag
	if tag == "" {
		tag = "latest"
	}
	v := doc.DistTags[tag]
	if v == "" {
		return told{}, holdf(fleet.HoldUnparsable, "npm package %s has no dist-tag %q", feed.Package, tag)
	}
	t := told{Entry: releases.Entry{Version: v}}
	if at, err := time.Parse(time.RFC3339, doc.Time[v]); err == nil {
		t.Published = at.UTC()
	}
	return t, nil
}

func (c *Client) npmDocument(ctx context.Context, name string) (npmDocument, error) {
	address, err := c.npmAddress(name)
	if err != nil {
		return npmDocument{}, err
	}
	body, err := c.get(ctx, query{url: address, header: map[string]string{"Accept": "application/json"}, client: c.configured})
	if err != nil {
		return npmDocument{}, err
	}
	var doc npmDocument
	if err := json.Unmarshal(body, &doc); err != nil {
		return npmDocument{}, holdf(fleet.HoldUnreachable, "%s: the answer is no package document: %w", address, err)
	}
	return doc, nil
}

func (c *Client) npmAddress(name string) (string, error) {
	if c.config.NPMRegistry == "" {
		return "", holdf(fleet.HoldUnreachable, "no npm registry is configured (npm config get registry)")
	}
	return strings.TrimSuffix(c.config.NPMRegistry, "/") + "/" + strings.Replace(name, "/", "%2f", 1), nil
}

// npmTarball is where the tarball of a version is, and the integrity the
// registry states for it. The small document of the version is asked for first;
// registries that do not serve it have the package's.
func (c *Client) npmTarball(ctx context.Context, name, v string) (address, integrity string, err error) {
	base, err := c.npmAddress(name)
	if err != nil {
		return "", "", err
	}
	var meta npmVersion
	body, err := c.get(ctx, query{url: base + "/" + url.PathEscape(v), header: map[string]string{"Accept": "application/json"}, client: c.configured})
	if status := transport.StatusOf(err); status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		doc, docErr := c.npmDocument(ctx, name)
		if docErr != nil {
			return "", "", errors.Join(err, docErr)
		}
		meta = doc.Versions[v]
	} else if err != nil {
		return "", "", err
	} else if err := json.Unmarshal(body, &meta); err != nil {
		return "", "", holdf(fleet.HoldUnreachable, "%s: the answer is no version document: %w", base, err)
	}
	if meta.Dist.Tarball == "" {
		return "", "", holdf(fleet.HoldUnreachable, "npm package %s has no version %s", name, v)
	}
	address, err = c.onRegistry(meta.Dist.Tarball)
	integrity = meta.Dist.Integrity
	if integrity == "" && meta.Dist.Shasum != "" {
		return "", "", holdf(fleet.HoldNotAllowed, "npm package %s@%s states a SHA-1 only", name, v)
	}
	return address, integrity, err
}

// onRegistry moves a tarball's address to the configured registry: mirrors pass
// on the documents of the registry they mirror, whose host may be out of reach.
func (c *Client) onRegistry(tarball string) (string, error) {
	t, err := url.Parse(tarball)
	if err != nil {
		return "", err
	}
	r, err := url.Parse(c.config.NPMRegistry)
	if err != nil {
		return "", err
	}
	if t.Host == r.Host && t.Scheme == r.Scheme {
		return tarball, nil
	}
	return strings.TrimSuffix(c.config.NPMRegistry, "/") + t.EscapedPath(), nil
}
