package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// Labels of trial containers.
const (
	labelTrial = "fenceline.trial" // the rollout
	labelOwner = "fenceline.owner" // the agent that runs it
)

// The bounds of a trial container.
const (
	trialPids     = 512
	trialMemory   = 1 << 30
	outputLines   = 20
	outputBytes   = 4 << 10
	lookTimeout   = 5 * time.Second
	removeTimeout = 30 * time.Second
)

// startCheck is what an image without hooks must be able to run: fence starts apps through a shell.
var startCheck = []string{"/bin/sh", "-c", "exit 0"}

// verdictError marks what the image did wrong, in contrast to what the engine couldn't do.
type verdictError struct{ reason string }

func (e verdictError) Error() string { return e.reason }

// overdueError is why a trial's context ends when its time is up.
type overdueError struct{ limit time.Duration }

func (e overdueError) Error() string { return fmt.Sprintf("the trial's time of %s is up", e.limit) }

// Trial runs each hook in a container of its own, as staging and running are apart in fence
// too. An image without hooks has to start a shell.
func (e *Engine) Trial(ctx context.Context, t distributor.Trial) (messages.TrialResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.Timeout, overdueError{t.Timeout})
	defer cancel()
	hooks := t.Ordered()
	if len(hooks) == 0 {
		_, err := e.runTrial(ctx, t, startCheck)
		return conclude(nil, "starting a shell in the image", err)
	}
	var runs []messages.HookRun
	for _, hook := range hooks {
		run, err := e.runTrial(ctx, t, []string{path.Join(t.HooksDir, hook)})
		run.Hook = hook
		runs = append(runs, run)
		if err != nil {
			return conclude(runs, "hook "+hook, err)
		}
	}
	return messages.TrialResult{Passed: true, Hooks: runs}, nil
}

// conclude makes the result of a trial whose last step ended with err.
func conclude(runs []messages.HookRun, what string, err error) (messages.TrialResult, error) {
	var verdict verdictError
	switch {
	case err == nil:
		return messages.TrialResult{Passed: true, Hooks: runs}, nil
	case errors.As(err, &verdict):
		return messages.TrialResult{Hooks: runs, Reason: what + ": " + verdict.reason}, nil
	}
	return messages.TrialResult{Hooks: runs}, fmt.Errorf("trying %s: %w", what, err)
}

// runTrial runs one command in a new container, and removes the container. A hook is
// looked at first: one without a shebang is run by a shell, in another container.
func (e *Engine) runTrial(ctx context.Context, t distributor.Trial, command []string) (run messages.HookRun, err error) {
	run.Exit = -1
	id, err := e.createTrial(ctx, t, command)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, e.removeContainer(ctx, id)) }()
	if len(command) == 1 {
		shell, err := e.shellFor(ctx, id, command[0])
		if err != nil {
			return run, err
		}
		if shell != "" {
			return e.runTrial(ctx, t, []string{shell, command[0]})
		}
	}
	return e.startTrial(ctx, id, command[0])
}

// createTrial creates a container the way fence would, with bounds.
func (e *Engine) createTrial(ctx context.Context, t distributor.Trial, command []string) (string, error) {
	network := t.Network
	if network == "" {
		network = "none"
	}
	pids := int64(trialPids)
	made, err := e.api.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image:       string(t.Image),
			Entrypoint:  command,
			Env:         []string{distributor.TrialEnv},
			Labels:      map[string]string{labelTrial: t.Rollout, labelOwner: t.Owner},
			Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		},
		HostConfig: &container.HostConfig{
			NetworkMode: container.NetworkMode(network),
			Resources:   container.Resources{PidsLimit: &pids, Memory: trialMemory},
			// Readable whatever the engine's own default is, and bounded.
			LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "2"}},
		},
	})
	if err != nil {
		return "", e.fault(ctx, "creating the trial's container", err)
	}
	return made.ID, nil
}

// startTrial starts the container and waits until it ends.
func (e *Engine) startTrial(ctx context.Context, id, command string) (messages.HookRun, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	run := messages.HookRun{Exit: -1}
	session := e.session(ctx, id)
	wait := e.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := e.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return run, e.startFault(ctx, command, err)
	}
	var err error
	select {
	case end := <-wait.Result:
		run.Exit = int(end.StatusCode)
		err = e.endFault(ctx, id, end, session)
	case err = <-wait.Error:
		err = e.waitFault(ctx, err)
	case <-ctx.Done():
		err = e.waitFault(ctx, ctx.Err())
	}
	run.Output = e.lastLines(ctx, id)
	return run, err
}

// session delivers an error when the engine process that answers now has ended: it follows
// events that don't happen.
func (e *Engine) session(ctx context.Context, id string) <-chan error {
	return e.api.Events(ctx, client.EventsListOptions{
		Filters: client.Filters{}.Add("container", id).Add("event", "rename"),
	}).Err
}

// endFault tells what an exit status means. An engine that is stopped ends its containers too,
// which is no verdict on the image. It still answers on connections that it has, and a new one may be kept
// for its successor: so it is asked on a new one, and has to be the one that the container
// was started with.
func (e *Engine) endFault(ctx context.Context, id string, end container.WaitResponse, session <-chan error) error {
	const doing = "asking why the trial's container ended"
	if end.Error != nil {
		return e.fault(ctx, doing, errors.New(end.Error.Message))
	}
	if end.StatusCode == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := e.api.Close(); err != nil {
		return e.fault(ctx, doing, err)
	}
	got, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return e.fault(ctx, doing, err)
	}
	select {
	case <-session: //nolint:errcheck // that it ended says all
		return fmt.Errorf("%w: it was stopped while the trial ran", distributor.ErrEngine)
	default:
	}
	reason := fmt.Sprintf("ended with status %d", end.StatusCode)
	if s := got.Container.State; s != nil && s.OOMKilled {
		reason += fmt.Sprintf(": it needed more than the %d MiB of memory that a trial has", trialMemory>>20)
	}
	return verdictError{reason}
}

// waitFault tells why the end of the container was not seen: a command that outlasts the
// trial's time is the image's fault where the engine is well.
func (e *Engine) waitFault(ctx context.Context, err error) error {
	var overdue overdueError
	if errors.As(context.Cause(ctx), &overdue) {
		if err = e.alive(context.WithoutCancel(ctx)); err == nil {
			return verdictError{"it did not end: " + overdue.Error()}
		}
		ctx = context.WithoutCancel(ctx)
	}
	return e.fault(ctx, "waiting for the trial's container", err)
}

// startFault tells what the image lacks from what the engine couldn't do: of the first kind
// are those that name the command.
func (e *Engine) startFault(ctx context.Context, command string, err error) error {
	text := err.Error()
	if !isTransport(err) && strings.Contains(text, command) {
		switch {
		case strings.Contains(text, "permission denied"):
			return verdictError{command + " is not executable: set its execute bit"}
		case strings.Contains(text, "no such file or directory"), strings.Contains(text, "not found in $PATH"):
			return verdictError{command + " or its interpreter is not in the image: " + clean(text)}
		case strings.Contains(text, "exec format error"):
			return verdictError{command + " can't be executed on this machine: " + clean(text)}
		}
	}
	if errdefs.IsNotFound(err) && strings.Contains(text, "network") {
		return fmt.Errorf("starting the trial's container: %w; make the network on this node, or correct the policy's trial.network", err)
	}
	return e.fault(ctx, "starting the trial's container", err)
}

// clean leaves the last part of an engine's long chain of causes.
func clean(text string) string {
	if i := strings.LastIndex(text, "exec: "); i >= 0 {
		text = text[i:]
	}
	return strings.TrimSuffix(strings.TrimSpace(text), ": unknown")
}

// shellFor is the shell that must run a hook without a shebang, which the kernel doesn't
// execute; "" for others.
func (e *Engine) shellFor(ctx context.Context, id, hook string) (string, error) {
	first, err := e.firstBytes(ctx, id, hook)
	if errdefs.IsNotFound(err) {
		return "", verdictError{hook + " is not in the image"}
	}
	if err != nil {
		return "", e.fault(ctx, "reading "+hook, err)
	}
	if strings.HasPrefix(first, "#!") || strings.HasPrefix(first, "\x7fELF") {
		return "", nil
	}
	for _, shell := range []string{"/bin/bash", "/bin/sh"} {
		_, err := e.api.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: shell})
		if err == nil {
			return shell, nil
		}
		if !errdefs.IsNotFound(err) {
			return "", e.fault(ctx, "looking for "+shell, err)
		}
	}
	return "", verdictError{hook + " has no shebang line, and the image has no shell to run it"}
}

// firstBytes reads the start of a file in a container, through links.
func (e *Engine) firstBytes(ctx context.Context, id, file string) (string, error) {
	stat, err := e.api.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: file})
	if err != nil {
		return "", err
	}
	if stat.Stat.LinkTarget != "" {
		file = stat.Stat.LinkTarget
	}
	got, err := e.api.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: file})
	if err != nil {
		return "", err
	}
	defer func() { _ = got.Content.Close() }()
	archive := tar.NewReader(got.Content)
	if _, err := archive.Next(); err != nil {
		return "", err
	}
	buf := make([]byte, 4)
	n, err := io.ReadFull(archive, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	return string(buf[:n]), nil
}

// lastLines is the end of what the container wrote, also when its time is up.
func (e *Engine) lastLines(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	logs, err := e.api.ContainerLogs(ctx, id, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(outputLines),
	})
	if err != nil {
		return ""
	}
	defer func() { _ = logs.Close() }()
	var out tail
	_, _ = stdcopy.StdCopy(&out, &out, logs) // as much as could be read
	return out.String()
}

// tail keeps the last bytes written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - outputBytes; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	return len(p), nil
}

// String is the text, without what is left of a character that was cut.
func (t *tail) String() string {
	return strings.TrimRight(strings.ToValidUTF8(string(t.kept), ""), "\n")
}

// removeContainer removes a container even when ctx has ended.
func (e *Engine) removeContainer(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	_, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return e.fault(ctx, "removing the trial's container", err)
	}
	return nil
}

// RemoveTrials removes an owner's trial containers.
func (e *Engine) RemoveTrials(ctx context.Context, owner string) (int, error) {
	list, err := e.api.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("label", labelTrial, labelOwner+"="+owner),
	})
	if err != nil {
		return 0, e.fault(ctx, "listing trial containers", err)
	}
	for n, c := range list.Items {
		if err := e.removeContainer(ctx, c.ID); err != nil {
			return n, err
		}
	}
	return len(list.Items), nil
}
