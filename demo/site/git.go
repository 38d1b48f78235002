package site

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// GitServer serves bare repositories over HTTP by git's own http-backend, for reading only:
// whoever could push here would reach the fleet.
type GitServer struct {
	URL string // without a slash at its end

	root   string
	server *http.Server
}

// ServeGit serves the bare repositories below root on addr.
func ServeGit(addr, root string) (*GitServer, error) {
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("asking git where its programs are: %w (is git installed?)", err)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of git repositories: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(root, "http-backend.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of the git server: %w", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serving git repositories: %w", err), log.Close())
	}
	backend := &cgi.Handler{
		Stderr: log, // what it says is no word to whoever looks at this program's output. Requests may outlast the server, so it stays open
		Path:   filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env: []string{
			"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_COUNT=2",
			"GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
			"GIT_CONFIG_KEY_1=http.receivepack", "GIT_CONFIG_VALUE_1=false",
		},
	}
	s := &GitServer{
		URL:    "http://" + l.Addr().String(),
		root:   root,
		server: &http.Server{Handler: backend, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

// Close ends the server.
func (s *GitServer) Close() error {
	if err := s.server.Close(); err != nil {
		return fmt.Errorf("ending the git server: %w", err)
	}
	return nil
}

// Repository is a bare repository on a server and a work tree to commit from.
type Repository struct {
	URL  string // where fenceline reads it
	Bare string // its folder, to push to
	work string
}

// Notice is what a repository's post-receive hook needs to tell fenceline of a push.
type Notice struct {
	Hook       string // the hook to install: examples/post-receive
	Program    string // fenceline
	URL        string // of the producer's generic hook
	SecretFile string // of the pipeline's webhook
}

// Repository opens the repository called name, without .git, and makes it if need be.
func (s *GitServer) Repository(ctx context.Context, name string) (*Repository, error) {
	r := &Repository{
		URL:  s.URL + "/" + name + ".git",
		Bare: filepath.Join(s.root, name+".git"),
		work: filepath.Join(s.root, name),
	}
	if _, err := os.Stat(filepath.Join(r.Bare, "HEAD")); errors.Is(err, os.ErrNotExist) {
		if _, err := Git(ctx, "", "init", "--quiet", "--bare", "--initial-branch=main", r.Bare); err != nil {
			return nil, err
		}
	}
	if err := os.RemoveAll(r.work); err != nil {
		return nil, fmt.Errorf("removing an old work tree: %w", err)
	}
	if _, err := Git(ctx, "", "clone", "--quiet", r.Bare, r.work); err != nil {
		return nil, err
	}
	_, err := Git(ctx, r.work, "checkout", "--quiet", "-B", "main")
	return r, err
}

// Notify makes pushes to the repository known to fenceline.
func (r *Repository) Notify(ctx context.Context, n Notice) error {
	for key, value := range map[string]string{
		"fenceline.program": n.Program, "fenceline.url": n.URL,
		"fenceline.repository": r.URL, "fenceline.secret-file": n.SecretFile,
	} {
		if _, err := Git(ctx, r.Bare, "config", key, value); err != nil {
			return err
		}
	}
	hook, err := os.ReadFile(n.Hook)
	if err != nil {
		return fmt.Errorf("reading the post-receive hook: %w", err)
	}
	if err := os.WriteFile(filepath.Join(r.Bare, "hooks", "post-receive"), hook, 0o755); err != nil {
		return fmt.Errorf("installing the post-receive hook: %w", err)
	}
	return nil
}

// Folder copies a folder's files into the work tree, with their modes. What is there
// besides is removed.
func (r *Repository) Folder(ctx context.Context, from string) error {
	entries, err := os.ReadDir(r.work)
	if err != nil {
		return fmt.Errorf("reading the work tree: %w", err)
	}
	for _, e := range entries {
		if e.Name() != ".git" {
			if err := os.RemoveAll(filepath.Join(r.work, e.Name())); err != nil {
				return fmt.Errorf("emptying the work tree: %w", err)
			}
		}
	}
	if err := os.CopyFS(r.work, os.DirFS(from)); err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return nil
}

// Edit changes a file in the work tree.
func (r *Repository) Edit(name string, edit func(string) string) error {
	path := filepath.Join(r.work, filepath.FromSlash(name))
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("editing %s: %w", name, err)
	}
	return r.Write(map[string]string{name: edit(string(b))})
}

// Write puts files, by path, into the work tree. One that begins with #! is executable.
func (r *Repository) Write(files map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(r.work, filepath.FromSlash(name))
		mode := os.FileMode(0o644)
		if strings.HasPrefix(files[name], "#!") {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		if err := os.WriteFile(path, []byte(files[name]), mode); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// Remove removes a file from the work tree.
func (r *Repository) Remove(name string) error {
	if err := os.Remove(filepath.Join(r.work, filepath.FromSlash(name))); err != nil {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return nil
}

// Commit commits the work tree and returns the commit.
func (r *Repository) Commit(ctx context.Context, message string) (string, error) {
	if _, err := Git(ctx, r.work, "add", "--all"); err != nil {
		return "", err
	}
	if _, err := Git(ctx, r.work, "-c", "user.name=Ops", "-c", "user.email=ops@example.com", "-c", "commit.gpgsign=false",
		"commit", "--quiet", "--allow-empty", "--message", message); err != nil {
		return "", err
	}
	out, err := Git(ctx, r.work, "rev-parse", "HEAD")
	return strings.TrimSpace(out), err
}

// Push pushes the work tree's head to branch main and returns what git and the hook said.
func (r *Repository) Push(ctx context.Context) (string, error) {
	return Git(ctx, r.work, "push", "--force", "origin", "HEAD:main")
}

// Git runs git in a folder, free of the user's and the system's configuration.
func Git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(Environment(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
