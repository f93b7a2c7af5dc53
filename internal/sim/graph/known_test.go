package graph_test

// undescribedProperties are what the service takes and its description lacks:
// type and property → where that is read.
var undescribedProperties = map[string]string{
	"#microsoft.graph.winGetApp repositoryType": "open tools that make store apps send it (svrooij/WingetIntune among them); Microsoft describes the type without",
}
