package graph_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What has no OpenAPI description has rules here, each for the paths that begin
// as stated: the OAuth token endpoint, Azure's storage. A request that falls
// under none is an error, so a new service that the client speaks to needs a
// rule of its own.

// A plainRule is what requests to a service and its answers must be like.
type plainRule struct {
	name  string
	is    func(path string) bool
	check func(e plainExchange) []string
}

type plainExchange struct {
	r            *http.Request
	body, answer []byte
	status       int
	header       http.Header
}

func plainRules() []plainRule {
	return []plainRule{
		{"token endpoint", func(path string) bool { return strings.HasSuffix(path, "/oauth2/v2.0/token") }, checkToken},
		{"storage", func(path string) bool { return strings.HasPrefix(path, "/blob/") }, checkStorage},
		{"export", func(path string) bool { return strings.HasPrefix(path, "/export/") }, checkExport},
	}
}

// checkPlain holds an exchange that is not Graph's against the rule for it.
func checkPlain(e plainExchange) []string {
	for _, rule := range plainRules() {
		if rule.is(e.r.URL.Path) {
			var found []string
			for _, f := range rule.check(e) {
				found = append(found, rule.name+": "+f)
			}
			return found
		}
	}
	return []string{"no rule says what this request must be like: add one to plainRules"}
}

// checkToken is RFC 6749, section 4.4, as Microsoft's identity platform has it
// ("OAuth 2.0 client credentials flow").
func checkToken(e plainExchange) []string {
	var found []string
	complain := func(bad bool, text string) {
		if bad {
			found = append(found, text)
		}
	}
	form, err := url.ParseQuery(string(e.body))
	complain(e.r.Method != http.MethodPost, "is not asked by POST")
	complain(err != nil || e.r.Header.Get("Content-Type") != "application/x-www-form-urlencoded", "the request is no form")
	complain(e.r.URL.RawQuery != "", "a credential may be in the address")
	complain(e.r.Header.Get("Authorization") != "", "a bearer token went along")
	for _, name := range []string{"grant_type", "client_id", "client_secret", "scope"} {
		complain(form.Get(name) == "" && e.status < 400, "the request has no "+name)
	}
	complain(e.status < 400 && !strings.HasSuffix(form.Get("scope"), "/.default"), "the scope is not the application's own permissions")
	var answer struct {
		Type    string `json:"token_type"`
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
		Error   string `json:"error"`
	}
	complain(json.Unmarshal(e.answer, &answer) != nil, "the answer is no JSON")
	complain(e.status == http.StatusOK && (answer.Type != "Bearer" || answer.Token == "" || answer.Expires <= 0), "the answer has no token")
	complain(e.status >= 400 && answer.Error == "", "the error has no code")
	return found
}

// checkExport is a report that lies in the storage for whoever has its address.
func checkExport(e plainExchange) []string {
	var found []string
	if e.r.Header.Get("Authorization") != "" {
		found = append(found, "a bearer token went to the storage")
	}
	if e.r.Method != http.MethodGet || len(e.body) > 0 {
		found = append(found, "exports are only read")
	}
	if e.r.URL.Query().Get("sig") == "" {
		found = append(found, "the address has no signature")
	}
	return found
}

// checkStorage is Azure's Blob service REST API, Put Block, Put Block List and
// Get Block List under a shared access signature.
func checkStorage(e plainExchange) []string {
	var found []string
	complain := func(bad bool, text string) {
		if bad {
			found = append(found, text)
		}
	}
	q := e.r.URL.Query()
	complain(e.r.Header.Get("Authorization") != "", "a bearer token went to the storage")
	complain(e.r.Header.Get("x-ms-version") == "", "x-ms-version is missing")
	for _, name := range []string{"sv", "sr", "sp", "se", "sig"} {
		complain(len(q[name]) != 1, "the signature's "+name+" is missing, or there twice")
	}
	switch _, err := time.Parse(time.RFC3339, q.Get("se")); {
	case err != nil:
		found = append(found, "the signature's end is no instant")
	case e.r.Method == http.MethodGet:
		complain(q.Get("comp") != "blocklist" || !slices.Contains([]string{"uncommitted", "committed", "all"}, q.Get("blocklisttype")), "only block lists are read")
	case e.r.Method != http.MethodPut:
		found = append(found, "method "+e.r.Method)
	case q.Get("comp") == "block":
		id, err := base64.StdEncoding.DecodeString(q.Get("blockid"))
		complain(err != nil || len(id) == 0 || len(id) > 64, "the block id is no base64 of at most 64 bytes")
		complain(len(e.body) == 0, "the block is empty")
	case q.Get("comp") == "blocklist":
		var list struct {
			XMLName xml.Name `xml:"BlockList"`
			Latest  []string `xml:"Latest"`
		}
		complain(xml.Unmarshal(e.body, &list) != nil || len(list.Latest) == 0, "the body is no block list")
	default:
		found = append(found, "comp="+q.Get("comp"))
	}
	if e.r.Method == http.MethodPut {
		complain(e.r.Header.Get("x-ms-blob-type") != "BlockBlob", "x-ms-blob-type is missing")
		complain(e.r.Header.Get("Content-Type") == "", "Content-Type is missing")
		complain(e.r.ContentLength != int64(len(e.body)), "Content-Length is "+strconv.FormatInt(e.r.ContentLength, 10))
		complain(e.status < 400 && e.status != http.StatusCreated, "status "+strconv.Itoa(e.status))
	}
	complain(e.status >= 400 && e.header.Get("Content-Type") != "application/xml", "the error is not in the storage's form")
	return found
}

// TestPlainRulesFind proves that the rules see what they are there for.
func TestPlainRulesFind(t *testing.T) {
	const sas = "/blob/t/f?sv=2021-12-02&sr=b&sp=w&se=2026-11-23T12:00:00Z&sig=x"
	block := map[string]string{"x-ms-version": "2021-12-02", "x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
	with := func(name, value string) map[string]string {
		out := map[string]string{name: value}
		for k, v := range block {
			if k != name {
				out[k] = v
			}
		}
		return out
	}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	const good = "grant_type=client_credentials&client_id=a&client_secret=b&scope=https://graph.microsoft.com/.default"
	const token = `{"token_type":"Bearer","expires_in":3600,"access_token":"x"}`
	for name, tt := range map[string]struct {
		method, path, body, answer string
		header                     map[string]string
		status                     int
		want                       string
	}{
		"block":              {"PUT", sas + "&comp=block&blockid=AAAA", "x", "", block, 201, ""},
		"bearer":             {"PUT", sas + "&comp=block&blockid=AAAA", "x", "", with("Authorization", "Bearer x"), 201, "bearer"},
		"no version":         {"PUT", sas + "&comp=block&blockid=AAAA", "x", "", with("x-ms-version", ""), 201, "x-ms-version"},
		"no signature":       {"PUT", "/blob/t/f?comp=block&blockid=AAAA", "x", "", block, 201, "sig is missing"},
		"block id":           {"PUT", sas + "&comp=block&blockid=a", "x", "", block, 201, "block id"},
		"empty block":        {"PUT", sas + "&comp=block&blockid=AAAA", "", "", block, 201, "empty"},
		"block list":         {"PUT", sas + "&comp=blocklist", "x", "", block, 201, "no block list"},
		"blob in one":        {"PUT", sas, "x", "", block, 201, "comp="},
		"reads content":      {"GET", sas, "", "", block, 200, "only block lists"},
		"deletes":            {"DELETE", sas, "", "", block, 202, "method"},
		"wrong status":       {"PUT", sas + "&comp=block&blockid=AAAA", "x", "", block, 200, "status 200"},
		"error in JSON":      {"PUT", sas + "&comp=block&blockid=AAAA", "x", "{}", block, 403, "storage's form"},
		"token":              {"POST", "/t/oauth2/v2.0/token", good, token, form, 200, ""},
		"token without form": {"POST", "/t/oauth2/v2.0/token", good, token, nil, 200, "no form"},
		"token in address":   {"POST", "/t/oauth2/v2.0/token?client_secret=b", good, token, form, 200, "in the address"},
		"token of nobody":    {"POST", "/t/oauth2/v2.0/token", "grant_type=client_credentials", token, form, 200, "client_id"},
		"no token":           {"POST", "/t/oauth2/v2.0/token", good, "{}", form, 200, "has no token"},
		"unknown":            {"GET", "/elsewhere/1", "", "", nil, 200, "no rule"},
		"export":             {"GET", "/export/t/1.zip?sig=x", "", "", nil, 200, ""},
		"export with bearer": {"GET", "/export/t/1.zip?sig=x", "", "", map[string]string{"Authorization": "Bearer x"}, 200, "bearer"},
	} {
		r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
		for k, v := range tt.header {
			if v != "" {
				r.Header.Set(k, v)
			}
		}
		found := strings.Join(checkPlain(plainExchange{r, []byte(tt.body), []byte(tt.answer), tt.status, http.Header{}}), "\n")
		if (tt.want == "") != (found == "") || !strings.Contains(found, tt.want) {
			t.Errorf("%s: found %q, want %q", name, found, tt.want)
		}
	}
}
