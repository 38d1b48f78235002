package site

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/fenceline/fenceline/freeport"
)

// Until calls check, with short pauses, until it returns nil. When ctx ends first the error
// has what check last said.
func Until(ctx context.Context, check func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // one that was cut short has nothing to say
			last = err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		}
	}
}

// Ready waits until a role answers at url that it is ready, or its process has ended.
func Ready(ctx context.Context, process *Process, url string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-process.Done():
			cancel(fmt.Errorf("it ended with status %d", process.ExitCode()))
		case <-ctx.Done():
		}
	}()
	return Until(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			return fmt.Errorf("asking whether it is ready: %w", err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("asking whether it is ready: %w", err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s/readyz answers %s", url, resp.Status)
		}
		return nil
	})
}

// Address is the wanted address if it can be listened on now, else, and where its port is 0, one with a free port
// of the same host.
func Address(wanted string) (string, error) {
	host, port, err := net.SplitHostPort(wanted)
	if err != nil {
		return "", fmt.Errorf("address %s: %w", wanted, err)
	}
	if port == "0" {
		return freeport.Of(host)
	}
	l, err := net.Listen("tcp", wanted)
	if err != nil {
		return freeport.Of(host)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Docker runs the docker command and returns what it wrote.
func Docker(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
