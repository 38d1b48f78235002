package docker

import (
	"context"
	"errors"
	"path"
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
