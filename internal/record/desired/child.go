package desired

import (
	"bufio"
	"encoding/json"
	"io"

	"github.com/packmill/packmill/internal/fleet"
)

// A childInput is what the parent hands to the child: the limits it shall put
// on itself before it reads on, and the files, which it never opens itself.
type childInput struct {
	Limits Limits      `json:"limits"`
	Files  []childFile `json:"files"`
}

type childFile struct {
	Path string `json:"path"`
	Data []byte `json:"data"`
}

// A childLine is one line of the child's output: the folder it turns to, or at
// the end the result.
type childLine struct {
	At     string       `json:"at,omitempty"`
	Result *childResult `json:"result,omitempty"`
	Fault  string       `json:"fault,omitempty"` // a defect of ours
}

type childResult struct {
	Repository *fleet.Repository `json:"repository"`
	Findings   []childFinding    `json:"findings,omitempty"`
	Exceptions []exception       `json:"exceptions,omitempty"`
	MaxDays    int               `json:"maxDays"` // the operator's maxExceptionDays, -1 when it is not known
}

type childFinding struct {
	Pos    fleet.Pos `json:"pos"`
	Object string    `json:"object,omitempty"`
	Text   string    `json:"text"`
}

// PolicyChild is the whole of the child process: it reads the files from stdin,
// limits itself, evaluates, and writes its findings and values to stdout as
// JSON lines. It returns the exit code. It needs no environment, no files and
// no network.
func PolicyChild(stdin io.Reader, stdout io.Writer) int {
	var in childInput
	out := json.NewEncoder(stdout)
	decoder := json.NewDecoder(bufio.NewReader(stdin))
	if err := decoder.Decode(&in); err != nil {
		return faulty(out, err)
	}
	if err := limitSelf(in.Limits); err != nil {
		return faulty(out, err)
	}
	result, err := evaluateFiles(in.Files, func(folder string) { _ = out.Encode(childLine{At: folder}) })
	if err != nil {
		return faulty(out, err)
	}
	if err := out.Encode(childLine{Result: result}); err != nil {
		return 1
	}
	return 0
}

func faulty(out *json.Encoder, err error) int {
	_ = out.Encode(childLine{Fault: err.Error()})
	return 1
}

// evaluateFiles guards and evaluates the files of the policy lane.
func evaluateFiles(files []childFile, at func(string)) (*childResult, error) {
	var parsed []policyFile
	var findings fleet.Errors
	broken := map[string]bool{}
	for _, f := range files {
		p, err := locate(File{Path: f.Path, Size: int64(len(f.Data))})
		if err != nil {
			return nil, err // the parent has checked it
		}
		at(f.Path)
		file, found := parsePolicy(p, f.Data)
		if len(found) > 0 {
			broken[f.Path] = true
		}
		findings = append(findings, found...)
		parsed = append(parsed, file)
	}
	done, err := evaluatePolicy(parsed, broken, at)
	if err != nil {
		return nil, err
	}
	result := &childResult{Repository: done.repo, Exceptions: done.exceptions, MaxDays: done.maxDays}
	for _, e := range sortFindings(append(findings, done.findings...)) {
		result.Findings = append(result.Findings, childFinding{e.Pos, e.Object, e.Err.Error()})
	}
	return result, nil
}
