package graph

import (
	"net/http"
)

// A router takes the operations of one area after the other.
type router struct {
	s   *Server
	mux *http.ServeMux
}

// both serves an operation in both versions of Graph, beta in one alone.
func (r router) both(method, path, operation string, h handler) {
	r.serve(method+" /v1.0"+path, operation, h)
	r.serve(method+" /beta"+path, operation, h)
}

func (r router) beta(method, path, operation string, h handler) {
	r.serve(method+" /beta"+path, operation, h)
}

func (r router) serve(pattern, operation string, h handler) {
	r.s.handlers[pattern] = h
	r.mux.HandleFunc(pattern, r.s.graph(operation, h))
}

// routes are the paths the server knows, in both versions where both have them.
func (s *Server) routes() *http.ServeMux {
	r := router{s, http.NewServeMux()}
	appRoutes(r)
	categoryRoutes(r)
	relationRoutes(r)
	reportRoutes(r)
	insightRoutes(r)
	scriptRoutes(r)
	directoryRoutes(r)
	filterRoutes(r)
	enrolmentRoutes(r)
	policyRoutes(r)
	updateRoutes(r)
	factRoutes(r) // last
	for _, version := range []string{"/v1.0", "/beta"} {
		r.mux.HandleFunc("POST "+version+"/$batch", s.batch)
	}
	r.mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.tokenEndpoint)
	r.mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", s.discovery)
	r.mux.HandleFunc("PUT /blob/{tenant}/{file}", s.putBlob)
	r.mux.HandleFunc("GET /blob/{tenant}/{file}", s.getBlob)
	r.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, reply{}, badRequest("Resource not found for the segment '"+r.URL.Path+"'."))
	})
	return r.mux
}

func appRoutes(r router) {
	const apps = "/deviceAppManagement/mobileApps"
	r.both("GET", apps, "app.list", listApps)
	r.both("POST", apps, "app.create", createApp)
	r.both("GET", apps+"/{app}", "app.get", withApp(getApp))
	r.both("PATCH", apps+"/{app}", "app.patch", withApp(patchApp))
	r.both("DELETE", apps+"/{app}", "app.delete", withApp(deleteApp))
	r.both("GET", apps+"/{app}/assignments", "assignment.list", withApp(listAssignments))
	r.both("POST", apps+"/{app}/assign", "app.assign", withApp(assign))
	for _, kind := range appKinds() {
		if kind.content {
			contentRoutes(r, apps, kind)
		}
	}
}

// contentRoutes are the contents of apps of one kind, in both spellings of the
// cast.
func contentRoutes(r router, apps string, kind appKind) {
	withApp := func(h appHandler) handler { return withApp(kind.only(h)) }
	withContent := func(h func(*request, *app, *content) (reply, error)) handler { return withContent(kind, h) }
	withFile := func(h func(*request, *app, *file) (reply, error)) handler { return withFile(kind, h) }
	for _, prefix := range []string{"graph.", "microsoft.graph."} {
		versions := apps + "/{app}/" + prefix + kind.cast + "/contentVersions"
		r.both("GET", versions, "content.list", withApp(listContents))
		r.both("POST", versions, "content.create", withApp(createContent))
		files := versions + "/{version}/files"
		r.both("GET", files, "file.list", withContent(listFiles))
		r.both("POST", files, "file.create", withContent(createFile))
		r.both("GET", files+"/{file}", "file.get", withFile(getFile))
		r.both("DELETE", files+"/{file}", "file.delete", withFile(deleteFile))
		r.both("POST", files+"/{file}/renewUpload", "file.renew", withFile(renewUpload))
		r.both("POST", files+"/{file}/commit", "file.commit", withFile(commitFile))
	}
}

func reportRoutes(r router) {
	r.both("GET", "/deviceManagement/managedDevices", "managedDevice.list", listManaged)
	r.both("POST", "/deviceManagement/reports/retrieveDeviceAppInstallationStatusReport", "report", installReport)
	const exports = "/deviceManagement/reports/exportJobs"
	r.both("POST", exports, "export.create", createExport)
	r.both("GET", exports+"/{id}", "export.get", exportSet().with(getExport))
	r.mux.HandleFunc("GET /export/{tenant}/{file}", r.s.getExportFile)
}

func insightRoutes(r router) {
	r.both("GET", "/deviceManagement/detectedApps", "detectedApp.list", listDetected)
	r.both("GET", "/deviceManagement/detectedApps/{id}/managedDevices", "detectedApp.devices", listDetectedDevices)
	r.both("GET", "/deviceManagement/auditEvents", "auditEvent.list", listAuditEvents)
}

func scriptRoutes(r router) {
	const scripts = "/deviceManagement/deviceHealthScripts"
	r.beta("GET", scripts, "script.list", listScripts)
	r.beta("POST", scripts, "script.create", createScript)
	r.beta("GET", scripts+"/{script}", "script.get", withScript(getScript))
	r.beta("PATCH", scripts+"/{script}", "script.patch", withScript(patchScript))
	r.beta("DELETE", scripts+"/{script}", "script.delete", withScript(deleteScript))
	r.beta("GET", scripts+"/{script}/assignments", "script.assignments", withScript(listScriptAssignments))
	r.beta("POST", scripts+"/{script}/assign", "script.assign", withScript(assignScript))
	r.beta("GET", scripts+"/{script}/deviceRunStates", "script.states", withScript(listRunStates))
}

func directoryRoutes(r router) {
	r.both("GET", "/devices", "device.list", listDevices)
	r.both("GET", "/groups", "group.list", listGroups)
	r.both("POST", "/groups", "group.create", createGroup)
	r.both("GET", "/groups/{group}", "group.get", withGroup(getGroup))
	r.both("DELETE", "/groups/{group}", "group.delete", withGroup(deleteGroup))
	r.both("GET", "/groups/{group}/members", "member.list", withGroup(listMembers))
	r.both("GET", "/groups/{group}/transitiveMembers", "member.all", withGroup(listTransitive))
	r.both("POST", "/groups/{group}/members/$ref", "member.add", withGroup(addMember))
	r.both("DELETE", "/groups/{group}/members/{object}/$ref", "member.remove", withGroup(removeMember))
}
