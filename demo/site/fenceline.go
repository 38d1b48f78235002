package site

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Fenceline is the command line of an installation, as a person at a terminal has it.
type Fenceline struct {
	Program string // the binary
	State   string // the folder of `fenceline up`, where its client.json is
}

// Login is that of the embedded registry for pushes, or an error before `fenceline up` has run.
func (f Fenceline) Login() (Login, error) {
	password, err := os.ReadFile(filepath.Join(f.State, "secrets", "registry"))
	if err != nil {
		return Login{}, fmt.Errorf("reading the registry's password: %w", err)
	}
	return Login{User: "fenceline", Password: strings.TrimSpace(string(password))}, nil
}

// CommandError is a command that ended with another status than 0.
type CommandError struct {
	Args   []string
	Status int
	Stderr string
}

// Error shows the command and what it said.
func (e *CommandError) Error() string {
	return fmt.Sprintf("fenceline %s: status %d: %s", strings.Join(e.Args, " "), e.Status, strings.TrimSpace(e.Stderr))
}

func (f Fenceline) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, f.Program, args...)
	cmd.Env = append(Environment(), "FENCELINE_STATE="+f.State)
	return cmd
}

// Environment is this process's own, without what leads git to another repository, and without
// fenceline's variables but those to keep: an operator's terminal may have those of an
// installation that must not be touched from here.
func Environment(keep ...string) []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		fenceline := strings.HasPrefix(name, "FENCELINE_") && !slices.Contains(keep, name)
		return fenceline || slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}, name)
	})
}

// Run runs a command and returns what it wrote to stdout. Errors are *CommandError where it
// ended with a status.
func (f Fenceline) Run(ctx context.Context, args ...string) (string, error) {
	cmd := f.command(ctx, args)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return stdout.String(), &CommandError{args, exit.ExitCode(), stderr.String()}
	}
	if err != nil {
		return "", fmt.Errorf("running fenceline %s: %w", strings.Join(args, " "), err)
	}
	return stdout.String(), nil
}

// JSON runs a command with -o json and decodes what it wrote into v.
func (f Fenceline) JSON(ctx context.Context, v any, args ...string) error {
	out, err := f.Run(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		return fmt.Errorf("fenceline %s -o json: %w in %q", strings.Join(args, " "), err, out)
	}
	return nil
}

// Client is what client.json says about where an installation's parts are.
type Client struct {
	NATS     string `json:"nats"`
	Producer string `json:"producer"`
	Registry string `json:"registry"`
	Buildkit string `json:"buildkit"`

	User         string `json:"user"`
	PasswordFile string `json:"password_file"`
}

// Client reads client.json.
func (f Fenceline) Client() (Client, error) {
	var c Client
	b, err := os.ReadFile(f.State + "/client.json")
	if err != nil {
		return c, fmt.Errorf("finding fenceline's addresses: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("reading %s/client.json: %w", f.State, err)
	}
	return c, nil
}

// Line is a line of `fenceline watch -o json`.
type Line struct {
	Time     time.Time `json:"time"`
	Step     string    `json:"step"`
	Build    string    `json:"build"`
	Order    uint64    `json:"order"`
	Pipeline string    `json:"pipeline"`
	Commit   string    `json:"commit"`
	Fleet    string    `json:"fleet"`
	Rollout  string    `json:"rollout"`
	Node     string    `json:"node"`
	Image    string    `json:"image"`
	State    string    `json:"state"`
	Text     string    `json:"text"`
	Bytes    int64     `json:"bytes"`
	Failure  *Failure  `json:"failure"`
}

// Failure is why a build failed.
type Failure struct {
	Class    string    `json:"class"`
	Reason   string    `json:"reason"`
	Place    string    `json:"place"`
	Detail   string    `json:"detail"`
	Fix      string    `json:"fix"`
	Findings []Finding `json:"findings"`
}

// Finding is something that the hook gate found.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
}

// watching is the step of the first line: nothing after it is missed.
const watching = "watching"

// Watch runs `fenceline watch` until ctx ends, and returns once nothing more can be missed.
// The channel gets its lines, and is closed when the command has ended; failure then tells why.
func (f Fenceline) Watch(ctx context.Context) (lines <-chan Line, failure func() error, err error) {
	out := make(chan Line, 1000)
	var ended error
	go func() {
		defer close(out)
		ended = f.watch(ctx, out)
	}()
	first, ok := <-out
	switch {
	case !ok:
		return nil, nil, ended
	case first.Step != watching:
		return nil, nil, fmt.Errorf("fenceline watch begins with %+v, not with %q", first, watching)
	}
	return out, func() error { return ended }, nil
}

func (f Fenceline) watch(ctx context.Context, out chan<- Line) error {
	stdout, w := io.Pipe()
	p, err := Start(Program{
		Path: f.Program, Args: []string{"watch", "-o", "json"}, Env: append(Environment(), "FENCELINE_STATE="+f.State), Stdout: w,
	})
	if err != nil {
		return err
	}
	defer p.Kill()
	defer func() { _ = stdout.Close() }() // before that: nothing is read any more
	defer context.AfterFunc(ctx, func() { _ = stdout.Close() })()
	go func() {
		<-p.Done()
		_ = w.Close()
	}()
	read := bufio.NewScanner(stdout)
	read.Buffer(nil, 1<<20)
	for read.Scan() {
		var l Line
		if err := json.Unmarshal(read.Bytes(), &l); err != nil {
			return fmt.Errorf("fenceline watch wrote %q: %w", read.Text(), err)
		}
		if build, ok := strings.CutPrefix(l.Rollout, l.Fleet+"-"); ok && l.Build == "" {
			l.Build = build // a rollout is named by its fleet and its build
		}
		select {
		case out <- l:
		case <-ctx.Done():
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case read.Err() != nil:
		return fmt.Errorf("reading what fenceline watch writes: %w", read.Err())
	}
	return fmt.Errorf("fenceline watch ended with status %d: %s", p.ExitCode(), p.Tail(10))
}
