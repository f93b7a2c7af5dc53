package upstream

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/packmill/packmill/internal/fleet"
	"github.com/packmill/packmill/internal/format/releases"
	"github.com/packmill/packmill/internal/rules/version"
)

// A debFile is one binary package of a Packages index (Debian repository
// format, wiki.debian.org/DebianRepository/Format).
type debFile struct {
	version string
	base    string // address of the archive
	file    string // path of the .deb below base
	size    int64
	sha256  fleet.Digest
}

// apt reads the newest version of a package in a suite. As for apt itself, the
// suite's -updates and -security companions count when they are configured. The
// order among them is Debian's whatever scheme the package has.
func (c *Client) apt(ctx context.Context, feed fleet.Apt, u fleet.Upstream) (told, error) {
	files, err := c.debFiles(ctx, feed)
	if err != nil {
		return told{}, err
	}
	texts := make([]string, len(files))
	for i, f := range files {
		texts[i] = f.version
	}
	if len(texts) == 0 {
		return told{}, holdf(fleet.HoldUnparsable, "suite %s has no package %s", feed.Suite, feed.Package)
	}
	u.Scheme, u.Pattern = version.Deb, ""
	v, err := newest(u, texts)
	return told{Entry: releases.Entry{Version: v}}, err
}

// debFiles are the files of a package in the suite and its companions.
func (c *Client) debFiles(ctx context.Context, feed fleet.Apt) ([]debFile, error) {
	component, arch := orDefault(feed.Component, "main"), orDefault(feed.Architecture, "amd64")
	suites := []string{feed.Suite, feed.Suite + "-updates", feed.Suite + "-security"}
	var out []debFile
	offered := false
	for _, source := range c.config.AptSources {
		if !slices.Contains(suites, source.Suite) || !slices.Contains(source.Components, component) {
			continue
		}
		offered = true
		packages, err := c.aptIndex(ctx, source, component, arch)
		if err != nil {
			return nil, err
		}
		out = append(out, packages[feed.Package]...)
	}
	if !offered {
		return nil, holdf(fleet.HoldUnreachable, "no apt source of this machine has component %s of suite %s", component, feed.Suite)
	}
	return out, nil
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// aptIndex is a parsed Packages file, read once in a run.
func (c *Client) aptIndex(ctx context.Context, source AptSource, component, arch string) (map[string][]debFile, error) {
	base := strings.TrimSuffix(source.URI, "/")
	key := strings.Join([]string{base, source.Suite, component, arch}, " ")
	return c.debs.get(ctx, key, func() (map[string][]debFile, error) {
		return c.readIndex(ctx, source, base, component, arch)
	})
}

// readIndex reads the Release file, and then the smallest form of the Packages
// index that it lists and we can unpack.
func (c *Client) readIndex(ctx context.Context, source AptSource, base, component, arch string) (map[string][]debFile, error) {
	dist := base + "/dists/" + source.Suite
	release, err := c.releaseFile(ctx, source, dist)
	if err != nil {
		return nil, err
	}
	sums, byHash := parseRelease(release)
	for _, ending := range []string{".xz", ".gz", ""} {
		name := path.Join(component, "binary-"+arch, "Packages"+ending)
		sum, listed := sums[name]
		if !listed {
			continue
		}
		packed, err := c.indexFile(ctx, dist, name, sum, byHash)
		if err != nil {
			return nil, err
		}
		r, err := unpack(packed, ending)
		if err != nil {
			return nil, holdf(fleet.HoldUnreachable, "%s/%s: %w", dist, name, err)
		}
		limited := &io.LimitedReader{R: r, N: maxIndex}
		packages, err := parsePackages(limited, base)
		if err == nil && limited.N == 0 {
			err = holdf(fleet.HoldUnreachable, "%s/%s unpacks to more than %d bytes", dist, name, maxIndex)
		}
		return packages, err
	}
	return nil, holdf(fleet.HoldUnreachable, "%s: the Release file lists no index of %s for %s", dist, component, arch)
}

// indexFile is a file that the Release file lists. Its address by hash, where
// the archive has one, stays right while the archive is being updated.
func (c *Client) indexFile(ctx context.Context, dist, name, sum string, byHash bool) ([]byte, error) {
	address := dist + "/" + name
	if byHash {
		address = dist + "/" + path.Dir(name) + "/by-hash/SHA256/" + sum
	}
	if kept := c.disk.load(address); kept != nil && hexSum(kept.Body) == sum {
		return kept.Body, nil // named by its content: nothing to ask
	}
	body, err := c.get(ctx, query{url: address, client: c.configured})
	if err != nil {
		return nil, err
	}
	if hexSum(body) != sum {
		return nil, holdf(fleet.HoldUnreachable, "%s does not have the digest that its Release file states: the mirror is being updated, or lies", address)
	}
	if byHash {
		c.mu.Lock()
		c.kept = append(c.kept, &answer{Key: address, Body: c.packer.pack(body)})
		c.mu.Unlock()
	}
	return body, nil
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func unpack(data []byte, ending string) (io.Reader, error) {
	switch ending {
	case ".gz":
		return gzip.NewReader(bytes.NewReader(data))
	case ".xz":
		return xz.NewReader(bytes.NewReader(data))
	case ".zst":
		r, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, err
		}
		return r.IOReadCloser(), nil
	}
	return bytes.NewReader(data), nil
}

// parseRelease reads the SHA-256 section of a Release or InRelease file: path
// → digest in hex. Signature armour has no lines of that form.
func parseRelease(data []byte) (sums map[string]string, byHash bool) {
	sums = map[string]string{}
	inside := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, " "):
			if fields := strings.Fields(line); inside && len(fields) == 3 && len(fields[0]) == 64 {
				sums[fields[2]] = strings.ToLower(fields[0])
			}
		default:
			inside = strings.EqualFold(line, "SHA256:")
			name, value, _ := strings.Cut(line, ":")
			if strings.EqualFold(name, "Acquire-By-Hash") {
				byHash = strings.EqualFold(strings.TrimSpace(value), "yes")
			}
		}
	}
	return sums, byHash
}

// parsePackages reads the stanzas of a Packages index. Stanzas without a
// package, version, safe path, size and digest are left out.
func parsePackages(r io.Reader, base string) (map[string][]debFile, error) {
	out := map[string][]debFile{}
	name := ""
	f := debFile{base: base}
	flush := func() {
		if name != "" && f.version != "" && f.file != "" && f.size > 0 && f.sha256.Valid() {
			out[name] = append(out[name], f)
		}
		name, f = "", debFile{base: base}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), 4<<20) // Provides: and the like grow long
	for lines.Scan() {
		line := lines.Text()
		if strings.TrimSpace(line) == "" {
			flush()
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch field {
		case "Package":
			name = value
		case "Version":
			f.version = value
		case "Filename":
			f.file = safePath(value)
		case "Size":
			f.size, _ = strconv.ParseInt(value, 10, 64)
		case "SHA256":
			f.sha256 = fleet.Digest("sha256:" + strings.ToLower(value))
		}
	}
	flush()
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the package index: %w", err)
	}
	return out, nil
}

// safePath is a path below the archive, "" when it leads elsewhere.
func safePath(p string) string {
	p = strings.TrimPrefix(p, "./")
	if p == "" || strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.HasPrefix(p, "..") || strings.ContainsAny(p, "?#\\ ") {
		return ""
	}
	return p
}
