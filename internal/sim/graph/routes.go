package graph

import (
	"net/http"
)

// routes are the paths the server knows, in both versions where both have them.
func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	both := func(method, path, operation string, h handler) {
		for _, version := range []string{"/v1.0", "/beta"} {
			mux.HandleFunc(method+" "+version+path, s.graph(operation, h))
		}
	}
	const apps = "/deviceAppManagement/mobileApps"
	both("GET", apps, "app.list", listApps)
	both("POST", apps, "app.create", createApp)
	both("GET", apps+"/{app}", "app.get", withApp(getApp))
	both("PATCH", apps+"/{app}", "app.patch", withApp(patchApp))
	both("DELETE", apps+"/{app}", "app.delete", withApp(deleteApp))
	both("GET", apps+"/{app}/assignments", "assignment.list", withApp(listAssignments))
	both("POST", apps+"/{app}/assign", "app.assign", withApp(assign))
	for _, cast := range []string{"graph.win32LobApp", "microsoft.graph.win32LobApp"} {
		versions := apps + "/{app}/" + cast + "/contentVersions"
		both("GET", versions, "content.list", withApp(listContents))
		both("POST", versions, "content.create", withApp(createContent))
		files := versions + "/{version}/files"
		both("GET", files, "file.list", withContent(listFiles))
		both("POST", files, "file.create", withContent(createFile))
		both("GET", files+"/{file}", "file.get", withFile(getFile))
		both("DELETE", files+"/{file}", "file.delete", withFile(deleteFile))
		both("POST", files+"/{file}/renewUpload", "file.renew", withFile(renewUpload))
		both("POST", files+"/{file}/commit", "file.commit", withFile(commitFile))
	}
	both("GET", "/deviceManagement/managedDevices", "managedDevice.list", listManaged)
	both("POST", "/deviceManagement/reports/retrieveDeviceAppInstallationStatusReport", "report", installReport)
	beta := func(method, path, operation string, h handler) {
		mux.HandleFunc(method+" /beta"+path, s.graph(operation, h))
	}
	const scripts = "/deviceManagement/deviceHealthScripts"
	beta("GET", scripts, "script.list", listScripts)
	beta("POST", scripts, "script.create", createScript)
	beta("GET", scripts+"/{script}", "script.get", withScript(getScript))
	beta("PATCH", scripts+"/{script}", "script.patch", withScript(patchScript))
	beta("DELETE", scripts+"/{script}", "script.delete", withScript(deleteScript))
	beta("GET", scripts+"/{script}/assignments", "script.assignments", withScript(listScriptAssignments))
	beta("POST", scripts+"/{script}/assign", "script.assign", withScript(assignScript))
	beta("GET", scripts+"/{script}/deviceRunStates", "script.states", withScript(listRunStates))
	both("GET", "/devices", "device.list", listDevices)
	both("GET", "/groups", "group.list", listGroups)
	both("POST", "/groups", "group.create", createGroup)
	both("GET", "/groups/{group}", "group.get", withGroup(getGroup))
	both("DELETE", "/groups/{group}", "group.delete", withGroup(deleteGroup))
	both("GET", "/groups/{group}/members", "member.list", withGroup(listMembers))
	both("GET", "/groups/{group}/transitiveMembers", "member.all", withGroup(listTransitive))
	both("POST", "/groups/{group}/members/$ref", "member.add", withGroup(addMember))
	both("DELETE", "/groups/{group}/members/{object}/$ref", "member.remove", withGroup(removeMember))
	for _, version := range []string{"/v1.0", "/beta"} {
		mux.HandleFunc("POST "+version+"/$batch", s.batch)
	}
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.tokenEndpoint)
	mux.HandleFunc("PUT /blob/{tenant}/{file}", s.putBlob)
	mux.HandleFunc("GET /blob/{tenant}/{file}", s.getBlob)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, reply{}, badRequest("Resource not found for the segment '"+r.URL.Path+"'."))
	})
	return mux
}
