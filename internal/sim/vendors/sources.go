package vendors

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// githubAPI serves GET /repos/{owner}/{name}/releases, newest first.
func (v view) githubAPI(rest string) answer {
	name, ok := strings.CutPrefix(rest, "repos/")
	name, ok2 := strings.CutSuffix(name, "/releases")
	for _, repo := range v.data.GitHub {
		if !ok || !ok2 || repo.Name != name {
			continue
		}
		releases := slices.DeleteFunc(slices.Clone(repo.Releases), func(r Release) bool { return !r.In(v.now) })
		slices.SortStableFunc(releases, func(a, b Release) int { return b.At.Compare(a.At) })
		list := []map[string]any{}
		for _, r := range releases {
			assets := []map[string]any{}
			for _, file := range slices.Sorted(maps.Keys(r.Assets)) {
				path := name + "/releases/download/" + r.Tag + "/" + file
				data := v.bytesAt("/github.com/"+path, r.Assets[file])
				assets = append(assets, map[string]any{
					"name": file, "size": len(data), "digest": fmt.Sprintf("sha256:%x", sha256.Sum256(data)),
					"browser_download_url": "https://github.com/" + path, "state": "uploaded",
				})
			}
			list = append(list, map[string]any{
				"tag_name": r.Tag, "name": r.Tag, "draft": r.Draft, "prerelease": r.Prerelease,
				"created_at": r.At.UTC(), "published_at": r.At.UTC(), "assets": assets,
				"body": r.Notes, "html_url": "https://github.com/" + name + "/releases/tag/" + r.Tag,
			})
		}
		return jsonAnswer(list)
	}
	return answer{}
}

// githubAsset serves a release's asset: github.com redirects to the host that
// has the bytes.
func (v view) githubAsset(host, rest string) answer {
	for _, repo := range v.data.GitHub {
		for _, r := range repo.Releases {
			name, ok := strings.CutPrefix(rest, repo.Name+"/releases/download/"+r.Tag+"/")
			content, known := r.Assets[name]
			if !ok || !known || !r.In(v.now) {
				continue
			}
			if host == "github.com" {
				return answer{location: "https://objects.githubusercontent.com/" + rest + "?sig=simulated"}
			}
			return binaryAnswer(v.bytesAt("/github.com/"+rest, content), r.At)
		}
	}
	return answer{}
}

// npm serves package documents, version documents and tarballs.
func (v view) npm(rest string) answer {
	for _, p := range v.data.NPM {
		after, ok := strings.CutPrefix(rest, p.Name)
		if !ok || after != "" && after[0] != '/' {
			continue
		}
		visible := slices.DeleteFunc(slices.Clone(p.Versions), func(n NPMVersion) bool { return !n.In(v.now) })
		if len(visible) == 0 {
			return answer{}
		}
		if after == "" {
			return v.npmDocument(p, visible)
		}
		for _, n := range visible {
			switch after {
			case "/" + n.Version:
				return jsonAnswer(v.npmVersion(p.Name, n))
			case npmFile(p.Name, n.Version):
				return binaryAnswer(v.npmTarball(p.Name, n), n.At)
			}
		}
	}
	return answer{}
}

func (v view) npmDocument(p NPMPackage, visible []NPMVersion) answer {
	times := map[string]time.Time{"created": visible[0].At.UTC()}
	versions := map[string]any{}
	for _, n := range visible {
		times[n.Version] = n.At.UTC()
		versions[n.Version] = v.npmVersion(p.Name, n)
	}
	latest := visible[len(visible)-1].Version
	return jsonAnswer(map[string]any{"name": p.Name, "dist-tags": map[string]string{"latest": latest}, "time": times, "versions": versions})
}

// npmFile is where a tarball stands below its package.
func npmFile(name, version string) string {
	return "/-/" + name[strings.LastIndexByte(name, '/')+1:] + "-" + version + ".tgz"
}

func (v view) npmVersion(name string, n NPMVersion) map[string]any {
	data := v.npmTarball(name, n)
	sum := sha512.Sum512(data)
	return map[string]any{"name": name, "version": n.Version, "dist": map[string]any{
		"tarball": v.base + "/npm/" + name + npmFile(name, n.Version), "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
	}}
}

func (v view) npmTarball(name string, n NPMVersion) []byte {
	manifest, err := json.Marshal(map[string]string{"name": name, "version": n.Version})
	if err != nil {
		return nil // two strings do marshal
	}
	members := []member{{"package/package.json", manifest, 0o644}}
	for _, file := range slices.Sorted(maps.Keys(n.Files)) {
		members = append(members, member{"package/" + file, v.bytesAt("/npm/"+name, n.Files[file]), 0o755})
	}
	return tarball(members, nil)
}

// debian serves dists/<suite>/{InRelease,Release,main/binary-<arch>/Packages.gz,
// …/by-hash/SHA256/<digest>} and the pool.
func (v view) debian(rest string) answer {
	if pool, ok := strings.CutPrefix(rest, "pool/"); ok {
		for _, d := range v.data.Debian {
			// Archives keep what the index no longer lists.
			if poolPath(d.Deb) == pool && !v.now.Before(d.At) {
				return binaryAnswer(v.bytesAt("/debian/"+rest, d.Deb), d.At)
			}
		}
		return answer{}
	}
	parts := strings.Split(strings.TrimPrefix(rest, "dists/"), "/")
	if len(parts) == 2 && (parts[1] == "InRelease" || parts[1] == "Release") {
		return v.debianRelease(parts[0], parts[1] == "InRelease")
	}
	if len(parts) < 4 || parts[1] != "main" {
		return answer{}
	}
	arch := strings.TrimPrefix(parts[2], "binary-")
	index, packed := v.debianIndex(parts[0], arch)
	switch last := parts[len(parts)-1]; {
	case index == nil:
	case last == "Packages":
		return answer{body: index, kind: "text/plain; charset=utf-8"}
	case last == "Packages.gz", last == hexDigest(packed):
		return binaryAnswer(packed, time.Time{})
	}
	return answer{}
}

func hexDigest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

func poolPath(c Content) string {
	_, version, found := strings.Cut(c.Version, ":")
	if !found {
		version = c.Version
	}
	return fmt.Sprintf("main/%s/%s/%s_%s_%s.deb", c.Name[:1], c.Name, c.Name, version, c.Arch)
}

// debianIndex is the Packages index of a suite, plain and packed; nil when the
// suite has nothing for the architecture.
func (v view) debianIndex(suite, arch string) (plain, packed []byte) {
	listed := map[string]DebRelease{}
	for _, d := range v.data.Debian {
		if d.Suite == suite && d.In(v.now) && (d.Deb.Arch == arch || d.Deb.Arch == "all") {
			listed[d.Deb.Name] = d
		}
	}
	if len(listed) == 0 {
		return nil, nil
	}
	var b, z bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		c := listed[name].Deb
		file := "pool/" + poolPath(c)
		data := v.bytesAt("/debian/"+file, c)
		fmt.Fprintf(&b, "%sFilename: %s\nSize: %d\nSHA256: %s\n\n", c.control(), file, len(data), hexDigest(data))
	}
	w := gzip.NewWriter(&z)
	_, _ = w.Write(b.Bytes())
	_ = w.Close()
	return b.Bytes(), z.Bytes()
}

func (v view) debianRelease(suite string, signed bool) answer {
	archs := map[string]bool{}
	var newest time.Time
	for _, d := range v.data.Debian {
		if d.Suite == suite && d.In(v.now) {
			archs[cmp.Or(strings.TrimSuffix(d.Deb.Arch, "all"), "amd64")] = true
			newest = later(newest, d.At)
		}
	}
	if len(archs) == 0 {
		return answer{}
	}
	names := slices.Sorted(maps.Keys(archs))
	var b strings.Builder
	fmt.Fprintf(&b, "Origin: Simulated\nSuite: %s\nCodename: %s\nDate: %s\nAcquire-By-Hash: yes\nArchitectures: %s\nComponents: main\nSHA256:\n",
		suite, suite, newest.UTC().Format(time.RFC1123), strings.Join(names, " "))
	for _, arch := range names {
		plain, packed := v.debianIndex(suite, arch)
		fmt.Fprintf(&b, " %s %d main/binary-%s/Packages\n %s %d main/binary-%s/Packages.gz\n",
			hexDigest(plain), len(plain), arch, hexDigest(packed), len(packed), arch)
	}
	text := b.String()
	if signed {
		text = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + text + "-----BEGIN PGP SIGNATURE-----\n\nsimulated: signed by nobody\n-----END PGP SIGNATURE-----\n"
	}
	return answer{body: []byte(text), kind: "text/plain; charset=utf-8", modified: newest}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// escaped is a module path as the protocol writes it: "!" before what was an
// upper-case letter.
func escaped(module string) string {
	var b strings.Builder
	for _, r := range module {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('!')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}

// goProxy serves <module>/@v/list, /@v/<version>.info and /@latest.
func (v view) goProxy(rest string) answer {
	for _, m := range v.data.Modules {
		after, ok := strings.CutPrefix(rest, escaped(m.Path))
		if !ok {
			continue
		}
		visible := slices.DeleteFunc(slices.Clone(m.Versions), func(n ModuleVersion) bool { return !n.In(v.now) })
		if after == "/@v/list" {
			var b strings.Builder
			for _, n := range visible {
				b.WriteString(n.Version + "\n")
			}
			return answer{body: []byte(b.String()), kind: "text/plain; charset=utf-8"}
		}
		for _, n := range slices.Backward(visible) {
			if after == "/@latest" || after == "/@v/"+n.Version+".info" {
				return jsonAnswer(map[string]any{"Version": n.Version, "Time": n.At.UTC()})
			}
		}
	}
	return answer{}
}
