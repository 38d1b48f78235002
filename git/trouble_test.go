package git

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/git/gittest"
)

// TestRead has git's own texts, as git 2.39 and BuildKit's checkouts with it print them; those of TLS
// are of both libraries that curl is built with.
func TestRead(t *testing.T) {
	const sha = "abababababababababababababababababababab"
	access := func(s string) string { return "fatal: unable to access 'https://git.example.com/a.git/': " + s + "\n" }
	for name, c := range map[string]struct {
		text string
		kind Kind
		said string
	}{
		"connection refused":          {access("Failed to connect to git.example.com port 443 after 0 ms: Couldn't connect to server"), Unreached, "Couldn't connect"},
		"unknown host":                {access("Could not resolve host: git.example.com"), Unreached, "resolve"},
		"timeout":                     {access("Failed to connect to git.example.com port 443 after 130003 ms: Connection timed out"), Unreached, "timed out"},
		"empty reply":                 {access("Empty reply from server"), Unreached, "Empty reply"},
		"reset":                       {access("Recv failure: Connection reset by peer"), Unreached, "reset"},
		"cut off":                     {access("transfer closed with 96 bytes remaining to read"), Unreached, "remaining"},
		"TLS, GnuTLS":                 {access("gnutls_handshake() failed: An unexpected TLS packet was received."), Unreached, "TLS"},
		"certificate, GnuTLS":         {access("server certificate verification failed. CAfile: none CRLfile: none"), Unreached, "certificate"},
		"certificate, OpenSSL":        {access("SSL certificate problem: self-signed certificate"), Unreached, "certificate"},
		"proxy's login":               {access("Received HTTP code 407 from proxy after CONNECT"), Unreached, "proxy"},
		"git daemon away":             {"fatal: unable to connect to 127.0.0.1:\n127.0.0.1[0: 127.0.0.1]: errno=Connection refused\n\n", Unreached, "errno=Connection refused"},
		"ssh, refused":                {"ssh: connect to host git.example.com port 22: Connection refused\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n", Unreached, "Connection refused"},
		"ssh, no key":                 {"git@git.example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.\n", Denied, "publickey"},
		"ssh, unknown host key":       {"Host key verification failed.\nfatal: Could not read from remote repository.\n", Denied, "Host key"},
		"early EOF":                   {"error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly: CANCEL (err 8)\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output\n", Unreached, ""},
		"hung up":                     {"fatal: the remote end hung up unexpectedly\n", Unreached, "hung up"},
		"broken pipe":                 {"error: RPC failed; curl 55 Send failure: Broken pipe\nfatal: the remote end hung up unexpectedly\n", Unreached, ""},
		"status 401 in a fetch":       {"error: RPC failed; HTTP 401 curl 22 The requested URL returned error: 401\n", Denied, "401"},
		"status 429":                  {access("The requested URL returned error: 429"), Unreached, "429"},
		"status 500":                  {access("The requested URL returned error: 500"), Unreached, "500"},
		"status 401, no prompt":       {"fatal: could not read Username for 'https://git.example.com': terminal prompts disabled\n", Denied, "Username"},
		"status 401, wrong":           {"fatal: Authentication failed for 'https://git.example.com/a.git/'\n", Denied, "failed for"},
		"status 403":                  {access("The requested URL returned error: 403"), Denied, "403"},
		"status 404":                  {"fatal: repository 'https://git.example.com/a.git/' not found\n", NoRepository, "not found"},
		"status 404, with words":      {"remote: Repository not found.\nfatal: repository 'https://git.example.com/a.git/' not found\n", NoRepository, "fatal: "},
		"status 410":                  {access("The requested URL returned error: 410"), NoRepository, "410"},
		"not a repository":            {"fatal: '/nope.git' does not appear to be a git repository\nfatal: Could not read from remote repository.\n", NoRepository, "/nope.git"},
		"not exported":                {"fatal: remote error: access denied or repository not exported: /a.git\n", NoRepository, "not exported"},
		"redirect":                    {access("The requested URL returned error: 301"), Moved, "301"},
		"redirect for now":            {access("The requested URL returned error: 302"), Led, "302"},
		"a page":                      {"fatal: http://127.0.0.1:8765/html/a.git/info/refs not valid: is this a git repository?\n", Strange, "not valid"},
		"a page with a tab":           {"fatal: http://127.0.0.1:8765/html/a.git/info/refs not valid: could not determine hash algorithm; is this a git repository?\n", Strange, "hash algorithm"},
		"a page for git's packets":    {"fatal: protocol error: bad line length character: <!DO\n", Strange, "<!DO"},
		"not our ref":                 {"fatal: remote error: upload-pack: not our ref " + sha + "\n", NoObject, sha},
		"unadvertised object":         {"error: Server does not allow request for unadvertised object " + sha + "\n", NoObject, sha},
		"no such branch":              {"fatal: couldn't find remote ref refs/heads/none\n", NoObject, "refs/heads/none"},
		"not a tree":                  {"fatal: reference is not a tree: " + sha + "\n", NoObject, "tree"},
		"bad object":                  {"fatal: bad object " + sha + "\n", NoObject, "bad object"},
		"full":                        {"fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output\n", Full, "No space"},
		"full, at the checkout":       {"error: unable to write file Dockerfile: No space left on device\n", Full, "No space"},
		"no https in this git":        {"fatal: unable to find remote helper for 'https'\n", NoHelper, "helper for 'https'"},
		"no https, in other words":    {"git: 'remote-https' is not a git command. See 'git --help'.\n\nThe most similar commands are\n\tremote-http\n", NoHelper, "remote-https"},
		"an unknown transport":        {"git: 'remote-foo' is not a git command. See 'git --help'.\n\nThe most similar command is\n\tremote-ftp\n", Refused, "remote-foo"},
		"a transport that may not be": {"Cloning into '/x/shared'...\nfatal: transport 'file' not allowed\nfatal: clone of 'file:///nope/shared.git' into submodule path '/x/shared' failed\n", Refused, "transport 'file'"},
		"submodule without its commit": {"Submodule 'shared' (http://h/shared.git) registered for path 'shared'\nCloning into '/x/shared'...\nfatal: remote error: upload-pack: not our ref " + sha +
			"\nfatal: Fetched in submodule path 'shared', but it did not contain " + sha + ". Direct fetching of that commit failed.\n", NoObject, sha},
		"submodule that isn't there": {"Cloning into '/x/shared'...\nfatal: repository 'http://127.0.0.1:1/none.git/' not found\nfatal: clone of 'http://127.0.0.1:1/none.git' into submodule path '/x/shared' failed\n", NoRepository, "none.git"},
		"submodule not described":    {"fatal: No url found for submodule path 'shared' in .gitmodules\n", Misnamed, "'shared'"},
		"submodule above the root":   {"fatal: cannot strip one component off url '.'\n", Misnamed, "strip"},
		"something new":              {"warning: x\nfatal: a sentence of a later git\n", Unknown, "fatal: a sentence"},
		"nothing":                    {"", Unknown, ""},
		// What names and hosts say is nothing that git says.
		"words in the address":           {"fatal: unable to access 'http://error:404.example.com/repository-not-found/Authentication failed for .git/': Could not resolve host: not-our-ref\n", Unreached, "resolve"},
		"a sentence in the address":      {"fatal: unable to access 'http://h/fatal: repository not found/': The requested URL returned error: 503\n", Unreached, "503"},
		"a host's own words":             {"remote: fatal: Authentication failed for 'x'\nremote: No space left on device\nfatal: the remote end hung up unexpectedly\n", Unreached, "hung up"},
		"a submodule called after words": {"Cloning into '/x/transport 'file' not allowed'...\nfatal: unable to access 'http://h/': Could not resolve host: h\nfatal: clone of 'http://h/' into submodule path '/x/transport 'file' not allowed' failed\n", Unreached, "resolve"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Read(c.text); got.Kind != c.kind || !strings.Contains(got.Said, c.said) {
				t.Errorf("%d, %q; want %d with %q", got.Kind, got.Said, c.kind, c.said)
			}
		})
	}
}

// TestHeadOfHostsThatAnswerOtherwise runs git against hosts whose answers aren't those of a repository.
func TestHeadOfHostsThatAnswerOtherwise(t *testing.T) {
	const smart = "application/x-git-upload-pack-advertisement"
	for name, c := range map[string]struct {
		status     int
		kind, body string
		want       error
		say        string
	}{
		"a page":                         {200, "text/html", "<!DOCTYPE html>\n<html>\nlog in\n", ErrUnreachable, "not as a git repository does"},
		"a page of one line":             {200, "text/html", "<!DOCTYPE html><html>log in</html>", ErrUnreachable, "not as a git repository does"},
		"a page with a tab":              {200, "text/html", "<html>\t<body>log in</body>", ErrUnreachable, "not as a git repository does"},
		"an empty page":                  {200, "text/plain", "", ErrUnreachable, "not as a git repository does"},
		"a page that calls itself git's": {200, smart, "<!DOCTYPE html>", ErrUnreachable, "not as a git repository does"},
		"an empty one of the kind":       {200, smart, "", ErrUnreachable, "hung up"},
		"one cut short":                  {200, smart, "001e# service=git-upload-pack\n", ErrUnreachable, "hung up"},
		"status 401":                     {401, "text/plain", "no", ErrDenied, "repository_token"},
		"status 403":                     {403, "text/plain", "no", ErrDenied, "403"},
		"status 404":                     {404, "text/plain", "no", ErrNoRepository, "correct"},
		"status 410":                     {410, "text/plain", "no", ErrNoRepository, "410"},
		"status 429":                     {429, "text/plain", "no", ErrUnreachable, "429"},
		"status 500":                     {500, "text/plain", "no", ErrUnreachable, "500"},
		"status 503":                     {503, "text/plain", "no", ErrUnreachable, "503"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				if c.status == http.StatusUnauthorized {
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				}
				w.WriteHeader(c.status)
				_, _ = fmt.Fprint(w, c.body)
			}))
			t.Cleanup(s.Close)
			// The address has words that git would use.
			_, err := Head(t.Context(), Remote{URL: s.URL + "/not-found/Repository-not-found/unable-to-find.git", Branch: "main"})
			if !errors.Is(err, c.want) || errors.Is(err, ErrNoBranch) || !strings.Contains(err.Error(), c.say) {
				t.Errorf("Head: %v; want %v saying %q", err, c.want, c.say)
			}
		})
	}
}

func TestHeadOfARepositoryWithoutTheBranch(t *testing.T) {
	server := gittest.Start(t)
	t.Run("an empty repository", func(t *testing.T) {
		if _, err := Head(t.Context(), Remote{URL: server.Repository(t, "empty").URL, Branch: "main"}); !errors.Is(err, ErrNoBranch) {
			t.Errorf("Head: %v, want ErrNoBranch", err)
		}
	})
	t.Run("on a plain web server", func(t *testing.T) {
		dir := t.TempDir()
		for name, text := range map[string]string{"HEAD": "ref: refs/heads/other\n", "info/refs": strings.Repeat("ab", 20) + "\trefs/heads/other\n"} {
			path := filepath.Join(dir, "a.git", name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := httptest.NewServer(http.FileServer(http.Dir(dir)))
		t.Cleanup(s.Close)
		if _, err := Head(t.Context(), Remote{URL: s.URL + "/a.git", Branch: "main"}); !errors.Is(err, ErrNoBranch) {
			t.Errorf("Head: %v, want ErrNoBranch", err)
		}
		if _, err := Head(t.Context(), Remote{URL: s.URL + "/a.git", Branch: "other"}); err != nil {
			t.Errorf("Head of the branch that is there: %v", err)
		}
	})
}

func TestALongRefusalEndsWithItsCause(t *testing.T) {
	const cause = "Could not resolve host: h.example"
	err := (&way{}).explain("fatal: unable to access 'http://h.example/"+strings.Repeat("a/", 2000)+"': "+cause, errors.New("exit status 128"))
	if !strings.Contains(err.Error(), cause) || len(err.Error()) > 1000 {
		t.Error(err)
	}
}
