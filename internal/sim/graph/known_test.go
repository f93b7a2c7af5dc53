package graph_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
)

// undescribedProperties are what the service takes and its description lacks:
// type and property → where that is read.
var undescribedProperties = map[string]string{
	"#microsoft.graph.winGetApp repositoryType": "open tools that make store apps send it (svrooij/WingetIntune among them); Microsoft describes the type without",
}

// loadUndescribed are the operations that the description lacks
// (testdata/undescribed.json), as patterns.
var loadUndescribed = sync.OnceValues(func() ([]*regexp.Regexp, error) {
	data, err := os.ReadFile("testdata/undescribed.json")
	if err != nil {
		return nil, err
	}
	var list []struct{ Version, Method, Path, Source string }
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	name := regexp.MustCompile(`\\\{[^}]*\\\}`)
	var out []*regexp.Regexp
	for _, u := range list {
		out = append(out, regexp.MustCompile("^"+u.Method+" /"+u.Version+name.ReplaceAllString(regexp.QuoteMeta(u.Path), "[^/]+")+"$"))
	}
	return out, nil
})

// undescribed reports whether a request is one of those.
func undescribed(r *http.Request) bool {
	list, err := loadUndescribed()
	if err != nil {
		return false
	}
	for _, u := range list {
		if u.MatchString(strings.ToUpper(r.Method) + " " + r.URL.Path) {
			return true
		}
	}
	return false
}
