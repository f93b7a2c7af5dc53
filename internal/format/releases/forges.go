package releases

import "fmt"

// GitLab reads the releases of a project (docs.gitlab.com/api/releases, "List
// releases"). Those announced for later are left out.
func GitLab(data []byte) ([]Entry, error) {
	var list []struct {
		Tag         string `json:"tag_name"`
		Description string `json:"description"`
		Released    string `json:"released_at"`
		Upcoming    bool   `json:"upcoming_release"`
		Assets      struct {
			Links []struct {
				Name   string `json:"name"`
				URL    string `json:"url"`
				Direct string `json:"direct_asset_url"`
			} `json:"links"`
		} `json:"assets"`
		Links struct {
			Self string `json:"self"`
		} `json:"_links"`
	}
	if err := decode(data, &list); err != nil {
		return nil, err
	}
	var out []Entry
	for _, r := range list {
		if r.Upcoming {
			continue
		}
		e := Entry{Version: r.Tag, Notes: notes(r.Description), NotesURL: r.Links.Self}
		for _, l := range r.Assets.Links {
			address := l.Direct
			if address == "" {
				address = l.URL
			}
			f, err := download(l.Name, address)
			if err != nil {
				return nil, err
			}
			e.Files = append(e.Files, f)
		}
		var err error
		if out, err = released(out, e, r.Released); err != nil {
			return nil, err
		}
	}
	return some(out)
}

// Gitea reads the releases of a repository on Gitea or Forgejo (the instance's
// /api/swagger, "repoListReleases"). Drafts are left out.
func Gitea(data []byte) ([]Entry, error) {
	var list []struct {
		Tag        string `json:"tag_name"`
		Draft      bool   `json:"draft"`
		Prerelease bool   `json:"prerelease"`
		Published  string `json:"published_at"`
		Body       string `json:"body"`
		Page       string `json:"html_url"`
		Assets     []struct {
			Name string `json:"name"`
			Size int64  `json:"size"`
			URL  string `json:"browser_download_url"`
		} `json:"assets"`
	}
	if err := decode(data, &list); err != nil {
		return nil, err
	}
	var out []Entry
	for _, r := range list {
		if r.Draft {
			continue
		}
		e := Entry{Version: r.Tag, Prerelease: r.Prerelease, Notes: notes(r.Body), NotesURL: r.Page}
		for _, a := range r.Assets {
			f, err := download(a.Name, a.URL)
			if err != nil {
				return nil, err
			}
			f.Size = max(a.Size, 0)
			e.Files = append(e.Files, f)
		}
		var err error
		if out, err = released(out, e, r.Published); err != nil {
			return nil, err
		}
	}
	return some(out)
}

// released adds a forge's release, which must have a tag.
func released(out []Entry, e Entry, at string) ([]Entry, error) {
	if err := named("a release", e.Version); err != nil {
		return nil, err
	}
	var err error
	if e.Published, err = timeOr(at); err != nil {
		return nil, err
	}
	return append(out, e), nil
}

// some is the list, or an error when it is empty.
func some(list []Entry) ([]Entry, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: it lists no release", errNothing)
	}
	return list[:min(len(list), maxEntries)], nil
}
