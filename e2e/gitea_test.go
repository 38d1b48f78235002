package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
)

// gitea is a real Gitea, with a user and a token.
type gitea struct {
	*site.Process
	url, dir, token string
}

const giteaUser, giteaPassword = "ann", "sesame-open-1234"

// newGitea starts one in a folder of its own.
func newGitea(t *testing.T) *gitea {
	t.Helper()
	if _, err := os.Stat(giteaPath("gitea")); err != nil {
		t.Fatalf("%v: scripts/programs gitea builds it", err)
	}
	address, err := site.Address("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gitea{url: "http://" + address, dir: t.TempDir()}
	host, port, _ := strings.Cut(address, ":")
	conf := fmt.Sprintf(giteaConf, g.dir, host, port, g.url, giteaPath(""), g.dir, g.dir)
	if err := os.WriteFile(g.conf(), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true") // where it does
	g.admin(t, "migrate")
	g.admin(t, "admin", "user", "create", "--username", giteaUser, "--password", giteaPassword, "--email", "ann@example.com", "--admin", "--must-change-password=false")
	g.token = g.newToken(t, "write:repository")
	g.begin(t)
	return g
}

func giteaPath(name string) string { return filepath.Join(root, ".fenceline", "gitea", name) }
func (g *gitea) conf() string      { return filepath.Join(g.dir, "app.ini") }

// giteaConf is one that runs without the world, and sends webhooks to this machine.
const giteaConf = `RUN_MODE = prod
WORK_PATH = %s
[server]
HTTP_ADDR = %s
HTTP_PORT = %s
ROOT_URL = %s/
STATIC_ROOT_PATH = %s
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = %s/gitea.db
[repository]
ROOT = %s/repositories
[security]
INSTALL_LOCK = true
[webhook]
ALLOWED_HOST_LIST = loopback
[log]
MODE = console
LEVEL = Warn
[actions]
ENABLED = false
`

// admin runs one of its own commands.
func (g *gitea) admin(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), giteaPath("gitea"), append(args, "--config", g.conf(), "--work-path", g.dir)...).CombinedOutput()
	if err != nil {
		t.Fatalf("gitea %v: %v: %s", args, err, out)
	}
	return string(out)
}

// newToken is a token of the user with a scope.
func (g *gitea) newToken(t *testing.T, scope string) string {
	t.Helper()
	out := strings.Fields(g.admin(t, "admin", "user", "generate-access-token", "--username", giteaUser, "--token-name", scope, "--scopes", scope, "--raw"))
	return out[len(out)-1]
}

// begin starts the server.
func (g *gitea) begin(t *testing.T) {
	t.Helper()
	g.Process = start(t, site.Program{Path: giteaPath("gitea"), Args: []string{"web", "--config", g.conf(), "--work-path", g.dir}, Dir: g.dir})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var version struct{}
	if err := site.Until(ctx, func(ctx context.Context) error { return g.call(ctx, http.MethodGet, "version", nil, &version) }); err != nil {
		t.Fatal(err)
	}
}

// call calls its API as the user.
func (g *gitea) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, g.url+"/api/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(giteaUser, giteaPassword)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s %w", method, path, resp.Status, answer, err)
	}
	if len(answer) == 0 {
		return nil
	}
	return json.Unmarshal(answer, out)
}

func (g *gitea) must(t *testing.T, method, path string, in, out any) {
	t.Helper()
	if err := g.call(t.Context(), method, path, in, out); err != nil {
		t.Fatal(err)
	}
}

// repository makes an empty one.
func (g *gitea) repository(t *testing.T, name string) {
	t.Helper()
	var made struct{}
	g.must(t, http.MethodPost, "user/repos", map[string]any{"name": name, "default_branch": "main"}, &made)
}

// hook has its own webhook tell of pushes, and returns its number.
func (g *gitea) hook(t *testing.T, name, hook string) int {
	t.Helper()
	var made struct{ ID int }
	g.must(t, http.MethodPost, "repos/"+giteaUser+"/"+name+"/hooks", map[string]any{
		"type": "gitea", "active": true, "events": []string{"push", "delete"},
		"config": map[string]string{"url": hook, "content_type": "json", "secret": secretText},
	}, &made)
	return made.ID
}

// push commits files over its API, which makes none executable, and returns the commit.
func (g *gitea) push(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	files["Dockerfile"] += "RUN chmod 755 /etc/stackato/hooks/pre-running\n"
	var changes []map[string]string
	for path, content := range files {
		change := map[string]string{"operation": "create", "path": path, "content": base64.StdEncoding.EncodeToString([]byte(content))}
		var have struct {
			SHA string `json:"sha"`
		}
		if g.call(t.Context(), http.MethodGet, "repos/"+giteaUser+"/"+name+"/contents/"+path, nil, &have) == nil {
			change["operation"], change["sha"] = "update", have.SHA
		}
		changes = append(changes, change)
	}
	var done struct {
		Commit struct {
			SHA string `json:"sha"`
		} `json:"commit"`
	}
	g.must(t, http.MethodPost, "repos/"+giteaUser+"/"+name+"/contents", map[string]any{"branch": "main", "new_branch": "", "message": "a change", "files": changes}, &done)
	return done.Commit.SHA
}

// told are the statuses of a commit, oldest first.
func (g *gitea) told(ctx context.Context, name, commit string) ([]string, error) {
	var all []struct {
		ID                           int
		Status, Context, Description string
	}
	err := g.call(ctx, http.MethodGet, "repos/"+giteaUser+"/"+name+"/statuses/"+commit+"?limit=50", nil, &all)
	sort.Slice(all, func(i, j int) bool { return all[i].ID < all[j].ID })
	var out []string
	for _, s := range all {
		out = append(out, s.Context+" "+s.Status+" "+s.Description)
	}
	return out, err
}

// awaitTold waits until a commit's last status is one that begins with a text.
func (g *gitea) awaitTold(t *testing.T, name, commit, text string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var all []string
	err := site.Until(ctx, func(ctx context.Context) (err error) {
		if all, err = g.told(ctx, name, commit); err == nil && (len(all) == 0 || !strings.HasPrefix(all[len(all)-1], text)) {
			err = fmt.Errorf("of %s it was told %q", commit, all)
		}
		return err
	})
	if err != nil {
		t.Fatalf("it is not told %s: %v", text, err)
	}
	return all
}

// TestGitea has a real Gitea send webhooks and take statuses: of what goes live, of what is refused, and of what happens
// while it is away, also with a token that it refuses.
func TestGitea(t *testing.T) {
	g := newGitea(t)
	fleet := fleetOf("gitea")
	token := filepath.Join(g.dir, "forge.token")
	if err := os.WriteFile(token, []byte(g.newToken(t, "read:repository")), 0o600); err != nil {
		t.Fatal(err)
	}
	g.repository(t, "base")
	g.repository(t, "refs")
	bases := newRegistry()
	if err := pushBusybox(t.Context(), bases.address+busyboxBase, "gitea"); err != nil {
		t.Fatal(err)
	}
	refs := g.url + "/" + giteaUser + "/refs.git"
	s := own(t, []pipeline{
		{name: "base", base: bases.address + busyboxBase, repo: g.url + "/" + giteaUser + "/base.git", fleet: fleet, extra: []string{"status: {forge: gitea, token_file: " + token + "}"}},
		{name: "refs", base: bases.address + busyboxBase, repo: refs, extra: []string{`branches: [main, "release/**"]`, `tags: ["v*"]`, "skip_ci: true"}},
		{name: "notes", repo: refs, extra: []string{`paths: ["notes/**"]`}},
	}, "--fleet", fleet, "--node", fleet, "--slots", "1")
	g.hook(t, "base", "http://"+s.http+"/hooks/gitea")

	first := g.push(t, "base", exporting("gitea-1"))
	s.awaitStatus(t, "problem: statuses of pipeline base", "403 Forbidden", "write:repository")
	if err := os.WriteFile(token, []byte(g.token), 0o600); err != nil {
		t.Fatal(err)
	}
	live := "fenceline/base success live in " + fleet
	g.awaitTold(t, "base", first, live)
	t.Run("pushes of each kind", func(t *testing.T) { g.pushesOfEachKind(t, s) })
	second := g.toldOfEachState(t, s, bases, live)

	broken := exporting("gitea-3")
	broken["hooks/pre-running"] += "if true; then\n"
	g.awaitTold(t, "base", g.push(t, "base", broken), "fenceline/base failure refused: ")

	if err := g.Stop(grace); err != nil {
		t.Error(err)
	}
	s.must(t, "rollback") // it is away, and nothing waits for it
	s.awaitStatus(t, "problem: statuses of pipeline base", "connection refused")
	g.begin(t)
	g.awaitTold(t, "base", second, "fenceline/base failure rolled back in "+fleet)
	if out := s.must(t, "status"); strings.Contains(out, "don't reach the forge") {
		t.Errorf("status says\n%s", out)
	}
}
