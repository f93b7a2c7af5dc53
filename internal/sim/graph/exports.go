package graph

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// exportLifetime is how long an export's address is good for (Microsoft: "Export
// Intune reports using Graph APIs").
const exportLifetime = 6 * time.Hour

// exportSet are the jobs that write a report into the storage. A job tells of
// the instant it was begun at, however late it is fetched.
func exportSet() set {
	return set{
		name: "exportJobs", noun: "exportJob", required: []string{"reportName"},
		owned: []string{"status", "url", "expirationDateTime", "requestDateTime", "polls"},
		check: func(props map[string]json.RawMessage) error {
			if text(props, "reportName") != "DeviceInstallStatusByApp" {
				return badRequest("report " + text(props, "reportName") + " is not simulated")
			}
			if format := text(props, "format"); format != "" && format != "csv" {
				return badRequest("format " + format + " is not simulated")
			}
			m := reportFilter.FindStringSubmatch(text(props, "filter"))
			if _, err := exportSelect(props); m == nil || err != nil {
				return badRequest("filter by ApplicationId and select with known columns are required")
			}
			return nil
		},
		shape: func(e *entity, out map[string]any) {
			delete(out, "createdDateTime")
			delete(out, "lastModifiedDateTime")
			delete(out, "polls")
			delete(out, "failed")
			out["requestDateTime"] = stamp(e.Created)
			out["expirationDateTime"] = stamp(e.Created.Add(exportLifetime))
		},
	}
}

// exportSelect are the columns a job selects.
func exportSelect(props map[string]json.RawMessage) ([]string, error) {
	var names []string
	if json.Unmarshal(props["select"], &names) != nil || len(names) == 0 {
		return nil, badRequest("select is required")
	}
	known := []string{"DeviceId", "DeviceName", "UserPrincipalName", "UserName", "Platform", "AppVersion", "LastModifiedDateTime", "AppInstallState", "AppInstallStateDetails", "HexErrorCode", "ApplicationId"}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, badRequest("column " + name + " is unknown")
		}
	}
	return names, nil
}

// getExport tells how far a job has come: each look brings it on. A fault ends
// it in the state that the fault names.
func getExport(r *request, e *entity) (reply, error) {
	polls := number(e.Props, "polls") + 1
	e.Props["polls"] = json.RawMessage(strconv.Itoa(polls))
	if r.fault.State != "" {
		e.Props["failed"] = json.RawMessage("true")
	}
	if err := r.t.save(exportSet().name, e); err != nil {
		return reply{}, err
	}
	out := exportSet().resource(e)
	need := 1 + r.t.s.upTo(r.t.s.o.Lag, e.ID, "export")
	switch {
	case e.Props["failed"] != nil:
		out["status"] = "failed"
	case polls <= need/2:
		out["status"] = "notStarted"
	case polls <= need:
		out["status"] = "inProgress"
	default:
		out["status"], out["url"] = "completed", r.t.signExport(originOf(r.Request), e)
	}
	return ok(out)
}

func createExport(r *request) (reply, error) {
	rep, err := exportSet().create(r)
	if err != nil {
		return rep, err
	}
	rep.events = nil // it changes nothing in the tenant
	rep.body.(map[string]any)["status"] = "notStarted"
	return rep, nil
}

func number(props map[string]json.RawMessage, name string) int {
	var n int
	_ = json.Unmarshal(props[name], &n) // what is not there counts as none
	return n
}

// signExport is the address of an export in the storage.
func (t *tenant) signExport(origin string, e *entity) string {
	q := url.Values{"sv": {"2021-12-02"}, "sr": {"b"}, "sp": {"r"}, "se": {e.Created.Add(exportLifetime).UTC().Format(time.RFC3339)}}
	q.Set("sig", t.signature(e.ID, q))
	return origin + "/export/" + t.Directory + "/" + e.ID + ".zip?" + q.Encode()
}

// getExportFile serves an export from the storage, to whom has its address and
// shows nothing else: a token has no business there.
func (s *Server) getExportFile(w http.ResponseWriter, r *http.Request) {
	t := s.tenants[r.PathValue("tenant")]
	name, isZip := bytes.CutSuffix([]byte(r.PathValue("file")), []byte(".zip"))
	if t == nil || !isZip {
		blobError(w, http.StatusNotFound, "ResourceNotFound")
		return
	}
	s.serve(&blobWriter{ResponseWriter: w}, r, t, "blob.export", func(req *request) (reply, error) {
		q := r.URL.Query()
		expires, err := time.Parse(time.RFC3339, q.Get("se"))
		if err != nil || q.Get("sig") != t.signature(string(name), q) || !s.o.Now().Before(expires) || r.Header.Get("Authorization") != "" {
			return reply{}, fail(http.StatusForbidden, "AuthenticationFailed", "Server failed to authenticate the request.")
		}
		e := t.entities[exportSet().name][string(name)]
		if e == nil {
			return reply{}, fail(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.")
		}
		data, err := t.exportZip(e)
		return reply{status: http.StatusOK, raw: data, contentType: "application/octet-stream"}, err
	})
}

// exportZip is the report of the instant a job was begun at, in the service's
// form: a mark, CR LF, the state as a number and once more in words.
func (t *tenant) exportZip(e *entity) ([]byte, error) {
	names, err := exportSelect(e.Props)
	if err != nil {
		return nil, err
	}
	var rows bytes.Buffer
	rows.WriteString("\xef\xbb\xbf")
	out := csv.NewWriter(&rows)
	out.UseCRLF = true
	var head []string
	for _, name := range names {
		if head = append(head, name); name == "AppInstallState" {
			head = append(head, "AppInstallState_loc")
		}
	}
	lines := [][]string{head}
	if a := t.apps[reportFilter.FindStringSubmatch(text(e.Props, "filter"))[1]]; a != nil {
		statuses := t.statuses(a, e.Created)
		for _, d := range t.byManaged() {
			if s, ok := statuses[d]; ok {
				lines = append(lines, exportRow(a, d, s, names))
			}
		}
	}
	if err := out.WriteAll(lines); err != nil {
		return nil, err
	}
	var data bytes.Buffer
	z := zip.NewWriter(&data)
	w, err := z.Create("DeviceInstallStatusByApp_" + e.ID + ".csv")
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(rows.Bytes()); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

func exportRow(a *app, d *device, s status, names []string) []string {
	var out []string
	for _, name := range names {
		switch name {
		case "AppInstallState":
			words := map[int]string{notApplicable: "Not applicable", installed: "Installed", failedState: "Failed", notInstalled: "Not installed", pendingInstall: "Install pending"}
			out = append(out, strconv.Itoa(s.state), words[s.state])
		case "AppInstallStateDetails", "UserName":
			out = append(out, "")
		default:
			out = append(out, fmt.Sprint(row(a, d, s, []string{name})[0]))
		}
	}
	return out
}
