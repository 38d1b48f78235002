package docker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// verdictError marks what the image did wrong, in contrast to what the engine couldn't do.
type verdictError struct{ reason string }

func (e verdictError) Error() string { return e.reason }

// overdueError is why a trial's context ends when its time is up.
type overdueError struct{ limit time.Duration }

func (e overdueError) Error() string { return fmt.Sprintf("the trial's time of %s is up", e.limit) }

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

// session delivers an error when the engine's process that answers now has ended. It follows events
// that never happen, so nothing else ends it.
func (e *Engine) session(ctx context.Context, id string) <-chan error {
	return e.api().Events(ctx, client.EventsListOptions{
		Filters: client.Filters{}.Add("container", id).Add("event", "rename"),
	}).Err
}

// endFault tells what an exit status means. An engine that is stopped ends its containers too, which
// is no verdict on the image. While it stops it still answers on connections that it has, so it is
// asked on a new one. A new one may reach its successor, so the session must not have ended either.
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
	e.gate.next.CloseIdleConnections()
	got, err := e.api().ContainerInspect(ctx, id, client.ContainerInspectOptions{})
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

// waitFault tells why the end of the container was not seen. A command that outlasts the trial's time
// is the image's fault, if the engine is well.
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

// createFault tells why a container was not created.
func (e *Engine) createFault(ctx context.Context, t distributor.Trial, err error) error {
	return e.blame(ctx, t, "creating the trial's container", err)
}

// startFault tells why a container did not start. An error that names the command is a verdict on the
// image.
func (e *Engine) startFault(ctx context.Context, t distributor.Trial, command string, err error) error {
	const doing = "starting the trial's container"
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
		return fmt.Errorf("%s: %w; make the network on this node, or correct the policy's trial.network", doing, err)
	}
	return e.blame(ctx, t, doing, err)
}

// blame tells whose fault it is that a container of the image can't be had. What another image meets too
// is the engine's; what another doesn't meet is the image's.
func (e *Engine) blame(ctx context.Context, t distributor.Trial, doing string, err error) error {
	kind := kindOf(err)
	gone := errors.Is(kind, distributor.ErrNotFound) && strings.Contains(strings.ToLower(err.Error()), "no such image")
	if ctx.Err() != nil || errors.Is(kind, distributor.ErrEngine) || errors.Is(kind, distributor.ErrNoSpace) || errors.Is(kind, distributor.ErrDamaged) || gone {
		return e.fault(ctx, doing, err)
	}
	if another := e.startsAnother(ctx, t); another != nil {
		return e.fault(ctx, doing, err)
	}
	return verdictError{doing + ": " + clean(err.Error())}
}

// chain are the links of an engine's chain of causes that say nothing.
var chain = regexp.MustCompile(`(Error response from daemon|failed to create (task for container|shim task|shim)|OCI runtime create failed|runc create failed|` +
	`(container|process|rootfs)_linux\.go:\d+|starting container process caused|container init caused|unable to start container process|error during container init): `)

// clean leaves of an engine's chain of causes what tells.
func clean(text string) string {
	return strings.TrimSuffix(strings.TrimSpace(chain.ReplaceAllString(text, "")), ": unknown")
}
