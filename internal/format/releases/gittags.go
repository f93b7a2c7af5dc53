package releases

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// GitTagsCommand asks a git server for its tags (git-scm.com/docs/protocol-v2,
// "ls-refs"): a body for POST <repository>/git-upload-pack with the header
// Git-Protocol: version=2.
func GitTagsCommand() []byte {
	var b bytes.Buffer
	line := func(text string) { fmt.Fprintf(&b, "%04x%s", len(text)+4, text) }
	line("command=ls-refs\n")
	b.WriteString("0001")
	line("ref-prefix refs/tags/\n")
	b.WriteString("0000")
	return b.Bytes()
}

// GitTags reads the answer: one entry for each tag, by its name. Peeled tags
// (^{}), which servers may list beside annotated ones, are the same tag.
func GitTags(data []byte) ([]Entry, error) {
	const prefix = "refs/tags/"
	var out []Entry
	known := map[string]bool{}
	for {
		line, rest, err := pktLine(data)
		if err != nil {
			return nil, err
		}
		if line == nil {
			break
		}
		data = rest
		text := strings.TrimSuffix(string(line), "\n")
		if message, refused := strings.CutPrefix(text, "ERR "); refused {
			return nil, fmt.Errorf("the git server says: %s", clip(message))
		}
		fields := strings.SplitN(text, " ", 3) // id, name, attributes
		if len(fields) < 2 || !strings.HasPrefix(fields[1], prefix) {
			return nil, fmt.Errorf("the git server lists %q, which is no tag", clip(text))
		}
		name := strings.TrimSuffix(strings.TrimPrefix(fields[1], prefix), "^{}")
		if name == "" || known[name] || len(out) == maxEntries {
			continue
		}
		known[name] = true
		out = append(out, Entry{Version: name})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: the repository has no tags", errNothing)
	}
	return out, nil
}

// pktLine takes one line off (git-scm.com/docs/protocol-common, "pkt-line
// Format"); nil is the end of the list.
func pktLine(data []byte) (line, rest []byte, err error) {
	if len(data) < 4 {
		return nil, nil, fmt.Errorf("the git server's list breaks off")
	}
	n, err := strconv.ParseUint(string(data[:4]), 16, 16)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the answer is none of a git server: it begins a line with %q", data[:4])
	case n == 0:
		return nil, data[4:], nil
	case n < 5:
		return nil, nil, fmt.Errorf("the git server's list has an empty line")
	case int(n) > len(data):
		return nil, nil, fmt.Errorf("the git server's list breaks off")
	}
	return data[4:n], data[n:], nil
}
