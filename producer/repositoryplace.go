package producer

import (
	"net/url"
	"strings"
)

// place is where a repository is, in a form in which the URLs that forges have for one
// repository are equal: host (without the scheme's own port) and path (without .git), both in
// lower case, as GitHub and Gitea ignore the case of a path and write it as they please. It is
// for comparing only: what is cloned is the pipeline's URL as it stands.
type place string

var schemePorts = map[string]string{"http": "80", "https": "443", "ssh": "22", "git": "9418"}

// placeOf returns the place of a URL, or of git's short form user@host:path. It is "" for
// what is neither.
func placeOf(s string) place {
	var host, path string
	if strings.Contains(s, "://") {
		u, err := url.Parse(s)
		if err != nil {
			return ""
		}
		host, path = u.Host, u.Path
		if port := u.Port(); port != "" && port == schemePorts[strings.ToLower(u.Scheme)] {
			host = strings.TrimSuffix(host, ":"+port)
		}
	} else {
		var ok bool
		if host, path, ok = strings.Cut(s, ":"); !ok || strings.Contains(host, "/") {
			return ""
		}
		host = host[strings.LastIndex(host, "@")+1:]
	}
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if host == "" || path == "" {
		return ""
	}
	return place(strings.ToLower(host + "/" + path))
}
