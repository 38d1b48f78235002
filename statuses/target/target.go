package target

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/fenceline/fenceline/suggest"
)

// Target is where a pipeline's commit statuses go. Fill completes one, and says what is wrong with it.
type Target struct {
	Pipeline   string
	Forge      Forge
	URL        string // where people reach the forge; "" for where the repository is
	Repository string // OWNER/NAME, or a longer path at GitLab; "" for that of the repository's address
	Context    string // the status' name at the forge; "" for fenceline/PIPELINE
	TargetURL  string // where the status leads, with {build}, {commit} and {pipeline} filled in; "" for nowhere
	TokenFile  string
	CAFile     string // certificate authorities of the forge, in place of the system's; "" for those
}

// FieldError is what is wrong with a field.
type FieldError struct {
	Field string
	Err   error
}

// Error is the field and what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap is what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

func wrong(field, format string, a ...any) error {
	return &FieldError{field, fmt.Errorf(format, a...)}
}

// Fill gives what is left out its value, by the address that the pipeline is cloned from, and checks all. The error is
// a *FieldError.
func (t Target) Fill(cloned string) (Target, error) {
	if !slices.Contains(Forges(), t.Forge) {
		return t, wrong("forge", "%q takes no statuses%s: name one of %s", string(t.Forge), suggest.DidYouMean(string(t.Forge), forgeNames()), strings.Join(forgeNames(), ", "))
	}
	site, path := split(cloned)
	if t.URL == "" {
		if site == "" {
			return t, wrong("url", "is missing: %s doesn't say where the forge's API is: give the address at which people reach the forge, such as https://git.example.com", cloned)
		}
		t.URL = site
		if base, ok := strings.CutSuffix(site, "/scm"); ok && t.Forge == BitbucketServer {
			t.URL = base
		}
	}
	if err := checkAddress(t.URL); err != nil {
		return t, &FieldError{"url", err}
	}
	t.URL = lowered(t.URL)
	if t.Repository == "" {
		t.Repository = path
		if t.Forge == BitbucketServer {
			t.Repository = strings.TrimPrefix(path, "scm/")
		}
	}
	if err := t.checkRepository(); err != nil {
		return t, &FieldError{"repository", err}
	}
	if t.Context == "" {
		t.Context = "fenceline/" + t.Pipeline
	}
	if len(t.Context) > 255 || strings.TrimSpace(t.Context) != t.Context || strings.ContainsFunc(t.Context, unseen) {
		return t, wrong("context", "%q is no name of a status: give a word of at most 255 bytes, such as fenceline/base", t.Context)
	}
	if t.TokenFile == "" {
		return t, wrong("token_file", "is missing: name a file with a token that may write statuses")
	}
	return t, t.checkTargetURL()
}

func unseen(r rune) bool { return !unicode.IsPrint(r) }

// split takes the address that a repository is cloned from apart. site is "" where it doesn't tell of an API.
func split(cloned string) (site, path string) {
	u, err := url.Parse(cloned)
	if err != nil {
		return "", ""
	}
	path = strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
	if u.Scheme != "https" && u.Scheme != "http" {
		return "", path
	}
	return u.Scheme + "://" + u.Host, path
}

func checkAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not the address of a forge such as %q", address, "https://git.example.com")
	case !validPort(u):
		return fmt.Errorf("%q has the port %s: ports go from 1 to 65535", address, u.Port())
	case u.User != nil:
		return errors.New("has a name or password in it: put the token into the file of token_file")
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%q has a query or fragment: leave them out", address)
	}
	return nil
}

// validPort tells whether an address has no port, or one that there can be.
func validPort(u *url.URL) bool {
	n, err := strconv.Atoi(u.Port())
	return u.Port() == "" || err == nil && n >= 1 && n <= 65535
}

// lowered is an address whose scheme and host are as they are compared: in lower case, as they name the same in any.
func lowered(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	u.Host = strings.ToLower(u.Host)
	return u.String()
}

func (t *Target) checkRepository() error {
	parts := strings.Split(t.Repository, "/")
	bad := func(s string) bool {
		return s == "" || s == "." || s == ".." || strings.ContainsFunc(s, func(r rune) bool { return unseen(r) || strings.ContainsRune(`?#%\ `, r) })
	}
	if slices.ContainsFunc(parts, bad) || len(parts) < 2 || len(parts) > 2 && t.Forge != GitLab {
		return fmt.Errorf("%q is not the path of a repository such as %q", t.Repository, "ops/base")
	}
	return nil
}

func (t *Target) checkTargetURL() error {
	if t.TargetURL == "" {
		return nil
	}
	u, err := url.Parse(t.Leads("pipeline", "build", "commit"))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || !validPort(u) {
		return wrong("target_url", "%q is not an address such as %q", t.TargetURL, "https://console.example.com/builds/{build}")
	}
	if strings.ContainsAny(u.String(), "{}") || strings.Contains(u.String(), "%7B") {
		return wrong("target_url", "%q has a field that is not known: these are: {pipeline}, {build}, {commit}", t.TargetURL)
	}
	return nil
}

// Leads is where a status leads; "" for nowhere.
func (t *Target) Leads(pipeline, build, commit string) string {
	switch {
	case t.TargetURL != "":
		return strings.NewReplacer("{pipeline}", pipeline, "{build}", build, "{commit}", commit).Replace(t.TargetURL)
	case t.Forge == Bitbucket: // which takes no status without
		return "https://bitbucket.org/" + t.Repository + "/commits/" + commit
	case t.Forge == BitbucketServer: // likewise
		project, name, _ := strings.Cut(t.Repository, "/")
		return strings.TrimSuffix(t.URL, "/") + "/projects/" + project + "/repos/" + name + "/commits/" + commit
	}
	return ""
}

// API is where the forge's API is.
func (t *Target) API() string {
	site, err := url.Parse(t.URL)
	if err != nil {
		return t.URL
	}
	api := t.Forge.api(*site)
	return api.String()
}

// Plain tells whether the token goes to the forge without TLS.
func (t *Target) Plain() bool { return strings.HasPrefix(t.URL, "http:") }
