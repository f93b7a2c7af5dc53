package upstream

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/transport"
)

// goProxy reads the newest version of a module (go.dev/ref/mod, "GOPROXY
// protocol").
func (c *Client) goProxy(ctx context.Context, feed fleet.GoProxy, u fleet.Upstream) (told, error) {
	module := escapeModule(feed.Module)
	list, err := c.askProxies(ctx, module+"/@v/list")
	if err != nil {
		return told{}, err
	}
	var candidates []string
	for line := range strings.Lines(string(list)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "v"); ok {
			candidates = append(candidates, v)
		}
	}
	info := module + "/@latest" // the list is empty for modules without tags
	if len(candidates) > 0 {
		v, err := newest(u, candidates)
		if err != nil {
			return told{}, err
		}
		info = module + "/@v/v" + v + ".info"
	}
	body, err := c.askProxies(ctx, info)
	if err != nil {
		return told{}, err
	}
	var answer struct {
		Version string
		Time    time.Time
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return told{}, holdf(fleet.HoldUnparsable, "%s: the answer is no version info: %w", info, err)
	}
	return told{Entry: releases.Entry{Version: strings.TrimPrefix(answer.Version, "v"), Published: answer.Time.UTC()}}, nil
}

// askProxies asks the proxies in turn: after "," the next one is for 404 and
// 410, after "|" for any error. "direct" and "off" are no servers.
func (c *Client) askProxies(ctx context.Context, path string) ([]byte, error) {
	err := error(holdf(fleet.HoldUnreachable, "no Go module proxy is configured (go env GOPROXY)"))
	for rest := c.config.GoProxy; rest != ""; {
		i := strings.IndexAny(rest, ",|")
		base, separator := rest, byte(',')
		if rest = ""; i >= 0 {
			base, separator, rest = base[:i], base[i], base[i+1:]
		}
		base = strings.TrimSpace(base)
		if base == "" || base == "direct" || base == "off" {
			continue
		}
		var body []byte
		body, err = c.get(ctx, query{url: strings.TrimSuffix(base, "/") + "/" + path, client: c.configured})
		if err == nil {
			return body, nil
		}
		if status := transport.StatusOf(err); separator != '|' && status != http.StatusNotFound && status != http.StatusGone {
			return nil, err
		}
	}
	return nil, err
}

// escapeModule writes upper-case letters as "!" and lower case, as proxies
// serve files on systems that fold case.
func escapeModule(module string) string {
	var b strings.Builder
	for _, r := range module {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
