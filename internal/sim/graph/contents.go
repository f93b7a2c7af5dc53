package graph

import (
	"encoding/json"
	"net/http"
	"os"
	"strconv"
)

// Upload states (mobileAppContentFileUploadState).
const (
	statePending   = "azureStorageUriRequestPending"
	stateReady     = "azureStorageUriRequestSuccess"
	stateRenewing  = "azureStorageUriRenewalPending"
	stateRenewed   = "azureStorageUriRenewalSuccess"
	stateChecking  = "commitFilePending"
	stateCommitted = "commitFileSuccess"
	stateRejected  = "commitFileFailed"
)

// only refuses apps of other kinds than the path's cast says.
func (k appKind) only(h appHandler) appHandler {
	return func(r *request, a *app) (reply, error) {
		if a.kind().odata != k.odata {
			return reply{}, badRequest("the app is no " + k.cast)
		}
		return h(r, a)
	}
}

func withContent(k appKind, h func(*request, *app, *content) (reply, error)) handler {
	return withApp(k.only(func(r *request, a *app) (reply, error) {
		c, _ := a.find(r.PathValue("version"), "")
		if c == nil {
			return reply{}, notFound("contentVersion")
		}
		return h(r, a, c)
	}))
}

func withFile(k appKind, h func(*request, *app, *file) (reply, error)) handler {
	return withApp(k.only(func(r *request, a *app) (reply, error) {
		_, f := a.find(r.PathValue("version"), r.PathValue("file"))
		if f == nil {
			return reply{}, notFound("file")
		}
		return h(r, a, f)
	}))
}

func listContents(r *request, a *app) (reply, error) {
	out := []map[string]any{}
	for _, c := range a.Versions {
		out = append(out, map[string]any{"id": c.ID})
	}
	return page(r, out, 100, 1000)
}

// createContent makes a new content version. While no content was ever made
// current, the one there is has to be used.
func createContent(r *request, a *app) (reply, error) {
	if a.Committed == "" && len(a.Versions) > 0 {
		return reply{}, badRequest("the app has a content version that was not committed yet")
	}
	c := &content{ID: strconv.Itoa(len(a.Versions) + max(r.t.s.o.Pitfalls.FirstContent, 1))}
	a.Versions = append(a.Versions, c)
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusCreated, map[string]any{"id": c.ID}, "content", a.ID+"/"+c.ID)
}

// resource is the file as the service tells it; the address is only shown
// while it can be used.
func (f *file) resource(r *request) map[string]any {
	out := map[string]any{
		"id": f.ID, "name": f.Name, "size": f.Size, "sizeEncrypted": f.SizeEncrypted, "isDependency": f.IsDependency,
		"isCommitted": f.State == stateCommitted, "createdDateTime": stamp(f.Created), "uploadState": f.State,
		"manifest": nil, "azureStorageUri": nil, "azureStorageUriExpirationDateTime": nil,
	}
	if f.State == stateReady || f.State == stateRenewed {
		out["azureStorageUri"] = r.t.sign(originOf(r.Request), f)
		out["azureStorageUriExpirationDateTime"] = stamp(f.Expires)
	}
	return out
}

func listFiles(r *request, a *app, c *content) (reply, error) {
	out := []map[string]any{}
	for _, f := range c.Files {
		out = append(out, f.resource(r))
	}
	return page(r, out, 100, 1000)
}

func createFile(r *request, a *app, c *content) (reply, error) {
	var body struct {
		Name                string
		Size, SizeEncrypted int64
		IsDependency        bool
	}
	if json.Unmarshal(r.body, &body) != nil || body.Name == "" || body.Size <= 0 || body.SizeEncrypted <= body.Size {
		return reply{}, badRequest("name, size and sizeEncrypted are required")
	}
	if a.Committed == c.ID {
		return reply{}, badRequest("content version " + c.ID + " is committed")
	}
	f := &file{
		ID: r.t.next("file"), Name: body.Name, Size: body.Size, SizeEncrypted: body.SizeEncrypted,
		IsDependency: body.IsDependency, Created: r.t.s.o.Now(), State: statePending, Then: stateReady,
	}
	if r.fault.State != "" {
		f.Then = r.fault.State
	}
	f.Reads = 1 + r.t.s.upTo(r.t.s.o.Lag, f.ID, "uri")
	c.Files = append(c.Files, f)
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusCreated, f.resource(r), "file", a.ID+"/"+f.ID)
}

// getFile moves a pending state on: the service gets its work done while the
// client asks.
func getFile(r *request, a *app, f *file) (reply, error) {
	if f.Then != "" {
		if f.Reads--; f.Reads <= 0 {
			f.State, f.Then = f.Then, ""
			if f.State == stateReady || f.State == stateRenewed {
				f.Signed++
				f.Expires = r.t.s.o.Now().Add(r.t.s.o.SASLifetime)
			}
		}
		if err := r.t.saveApp(a); err != nil {
			return reply{}, err
		}
	}
	return ok(f.resource(r))
}

func deleteFile(r *request, a *app, f *file) (reply, error) {
	version := r.PathValue("version")
	if a.Committed == version {
		return reply{}, badRequest("content version " + version + " is committed")
	}
	for _, c := range a.Versions {
		for i, other := range c.Files {
			if other == f {
				c.Files = append(c.Files[:i:i], c.Files[i+1:]...)
				break
			}
		}
	}
	if err := os.RemoveAll(r.t.blobDir(f.ID)); err != nil {
		return reply{}, err
	}
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "unfile", a.ID+"/"+f.ID)
}

func renewUpload(r *request, a *app, f *file) (reply, error) {
	if f.State != stateReady && f.State != stateRenewed {
		return reply{}, badRequest("the file has no upload address to renew")
	}
	f.State, f.Then, f.Reads = stateRenewing, stateRenewed, 1+r.t.s.upTo(r.t.s.o.Lag, f.ID, "renew", strconv.Itoa(f.Signed))
	if r.fault.State != "" {
		f.Then = r.fault.State
	}
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "renew", a.ID+"/"+f.ID)
}

// commitFile takes the keys and checks the blob with them. A file is committed
// once: a second commit is an error.
func commitFile(r *request, a *app, f *file) (reply, error) {
	var body struct {
		Info *encryption `json:"fileEncryptionInfo"`
	}
	if json.Unmarshal(r.body, &body) != nil || body.Info == nil {
		return reply{}, badRequest("fileEncryptionInfo is required")
	}
	if f.State != stateReady && f.State != stateRenewed {
		return reply{}, badRequest("the file cannot be committed in state " + f.State)
	}
	f.Then = stateCommitted
	if err := r.t.verify(a, f, body.Info); err != nil {
		f.Then, f.Lost = stateRejected, err.Error()
	}
	if r.fault.State != "" {
		f.Then = r.fault.State
	}
	f.State, f.Reads = stateChecking, 1+r.t.s.upTo(r.t.s.o.Lag, f.ID, "commit")
	// The content is no longer needed: devices here install without it.
	if err := os.RemoveAll(r.t.blobDir(f.ID)); err != nil {
		return reply{}, err
	}
	if err := r.t.saveApp(a); err != nil {
		return reply{}, err
	}
	return did(http.StatusNoContent, nil, "commit", a.ID+"/"+f.ID)
}
