package docker

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// Labels of trial containers.
const (
	labelTrial = "fenceline.trial" // the rollout
	labelOwner = "fenceline.owner" // the agent that runs it
	// when it may be removed by any agent, RFC 3339 by the clock of the agent that runs it
	labelDeadline = "fenceline.deadline"
)

// The bounds of a trial container.
const (
	trialPids     = 512
	trialMemory   = 1 << 30
	outputLines   = 20
	outputBytes   = 4 << 10
	lookTimeout   = 5 * time.Second
	removeTimeout = 30 * time.Second
	trialGrace    = 10 * time.Second // beyond a trial's time, until what is left of it is ended by others
	trialUnknown  = 24 * time.Hour   // how old a container without a deadline is until any agent may remove it
)

// startCheck is what an image without hooks must be able to run: fence starts apps through a shell.
var startCheck = []string{"/bin/sh", "-c", "exit 0"}

// Trial runs each hook in a container of its own, as staging and running are apart in fence
// too. An image without hooks has to start a shell.
func (e *Engine) Trial(ctx context.Context, t distributor.Trial) (messages.TrialResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.Timeout, overdueError{t.Timeout})
	defer cancel()
	hooks := t.Ordered()
	seen, err := e.look(ctx, t, hooks)
	if err != nil {
		return conclude(nil, "making a container of the image", err)
	}
	if len(hooks) == 0 {
		_, err := e.runTrial(ctx, t, seen.user, startCheck)
		return conclude(nil, "starting a shell in the image", err)
	}
	var runs []messages.HookRun
	for _, hook := range hooks {
		run, err := e.runHook(ctx, t, seen, path.Join(t.HooksDir, hook))
		run.Hook = hook
		runs = append(runs, run)
		if err != nil {
			return conclude(runs, "hook "+hook, err)
		}
	}
	return messages.TrialResult{Passed: true, Hooks: runs}, nil
}

// runHook runs a hook, by the image's shell where it has one: a shell is what fence runs hooks from, and
// ends with what the engine's watch ends, which the container's first process would not.
func (e *Engine) runHook(ctx context.Context, t distributor.Trial, seen *seen, file string) (messages.HookRun, error) {
	command, err := seen.command(file)
	if err != nil {
		return messages.HookRun{Exit: -1}, err
	}
	if seen.shell == "" {
		return e.runTrial(ctx, t, seen.user, command)
	}
	run, err := e.runTrial(ctx, t, seen.user, append([]string{seen.shell, "-c", `"$@"; exit $?`, "trial"}, command...))
	if why := notRun(file, seen.user, run); why != "" {
		err = verdictError{why}
	}
	return run, err
}

// runTrial runs one command in a new container, and removes the container.
func (e *Engine) runTrial(ctx context.Context, t distributor.Trial, user string, command []string) (run messages.HookRun, err error) {
	run.Exit = -1
	id, err := e.createTrial(ctx, t, string(t.Image), user, command)
	if err != nil {
		return run, e.createFault(ctx, t, err)
	}
	defer func() { err = errors.Join(err, e.removeContainer(ctx, id)) }()
	return e.startTrial(ctx, t, id, command[0])
}

// createTrial creates a container the way fence would, with bounds. Once the engine was asked for it, it
// is waited for even when ctx ends: else it would be made, and nobody would know of it. Where its agent dies and no other
// starts, the engine's own watch ends what is in it: a health check that kills, once the trial's time is
// long up.
func (e *Engine) createTrial(ctx context.Context, t distributor.Trial, image, user string, command []string) (string, error) {
	network := t.Network
	if network == "" {
		network = "none"
	}
	pids, deadline := int64(trialPids), t.Timeout+trialGrace
	watch := &container.HealthConfig{Test: []string{"NONE"}}
	if slices.Contains(shells, command[0]) {
		watch = &container.HealthConfig{
			Test: []string{"CMD", command[0], "-c", "kill -9 -1"}, Interval: deadline, Timeout: lookTimeout, Retries: 1,
		}
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	made, err := e.api().ContainerCreate(call, client.ContainerCreateOptions{
		Config: &container.Config{
			Image:      e.nameOf(call, image),
			User:       user,
			Entrypoint: command,
			Env:        []string{distributor.TrialEnv},
			Labels: map[string]string{
				labelTrial: t.Rollout, labelOwner: t.Owner, labelDeadline: time.Now().Add(deadline).UTC().Format(time.RFC3339),
			},
			StopSignal:  "KILL",
			Healthcheck: watch,
		},
		HostConfig: &container.HostConfig{
			NetworkMode: container.NetworkMode(network),
			Resources:   container.Resources{PidsLimit: &pids, Memory: trialMemory},
			// Readable whatever the engine's own default is, and bounded.
			LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "1m", "max-file": "2"}},
		},
	})
	if err == nil && ctx.Err() != nil {
		return "", errors.Join(ctx.Err(), e.removeContainer(ctx, made.ID))
	}
	return made.ID, err
}

// startTrial starts the container and waits until it ends.
func (e *Engine) startTrial(ctx context.Context, t distributor.Trial, id, command string) (messages.HookRun, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	run := messages.HookRun{Exit: -1}
	session := e.session(ctx, id)
	if _, err := e.api().ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return run, e.startFault(ctx, t, command, err)
	}
	// An engine before 17.06 answers a wait for what doesn't run at once, so that the start comes first. A container
	// that has ended meanwhile is still there, with its status.
	wait := e.api().ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
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

// removeContainer removes a container even when ctx has ended.
func (e *Engine) removeContainer(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	_, err := e.api().ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) && !strings.Contains(err.Error(), "is already in progress") { // another agent removes it
		return e.fault(ctx, "removing the trial's container", err)
	}
	return nil
}

// RemoveTrials removes an owner's trial containers, and those of any owner whose time is long up.
func (e *Engine) RemoveTrials(ctx context.Context, owner string) (int, error) {
	list, err := e.api().ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labelTrial)})
	if err != nil {
		return 0, e.fault(ctx, "listing trial containers", err)
	}
	n := 0
	for _, c := range list.Items {
		if c.Labels[labelOwner] != owner && !isOverdue(&c, time.Now()) {
			continue
		}
		if err := e.removeContainer(ctx, c.ID); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// isOverdue tells whether nobody can wait for a trial's container any more.
func isOverdue(c *container.Summary, now time.Time) bool {
	deadline, err := time.Parse(time.RFC3339, c.Labels[labelDeadline])
	if err != nil {
		deadline = time.Unix(c.Created, 0).Add(trialUnknown)
	}
	return now.After(deadline.Add(removeTimeout))
}
