package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
)

// fixes says what to do about the kinds of error that any call can end with.
func fixes() map[error]string {
	return map[error]string{
		distributor.ErrEngine:   "check that dockerd runs there and that this user may use it",
		distributor.ErrNotFound: "check that it was pushed and not deleted",
		distributor.ErrNoSpace:  "free space where the engine keeps images",
		distributor.ErrDamaged:  "remove the image there, and it is fetched again",
	}
}

// fault wraps an error of the engine's API with what was being done and what it is about.
func (e *Engine) fault(ctx context.Context, doing string, err error) error {
	return e.explain(ctx, doing, err, fixes())
}

// explain is fault with other fixes. An error of a kind that has no fix here keeps its own words: what
// reads like a registry that is down is something else in a call that asks no registry.
func (e *Engine) explain(ctx context.Context, doing string, err error, fixes map[error]string) error {
	doing += " (Docker engine at " + e.api().DaemonHost() + ")"
	if ctx.Err() != nil {
		if cause := context.Cause(ctx); errors.Is(cause, context.DeadlineExceeded) {
			return fmt.Errorf("%s: %w: no answer in time; check that dockerd runs and isn't overloaded", doing, distributor.ErrEngine)
		}
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	if old := (tooOldError{}); errors.As(err, &old) {
		return fmt.Errorf("%s: the engine is too old: %w; fenceline needs API %s (Docker 1.0) or later: update the engine", doing, old, oldestAPI)
	}
	kind := kindOf(err)
	fix, meant := fixes[kind]
	switch {
	case !meant && kind == nil && errdefs.IsInternal(err):
		return fmt.Errorf("%s: the engine failed: %w; look for the cause in its log (journalctl -u docker), and restart it if that goes on", doing, err)
	case !meant:
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w; %s", doing, kind, err, fix)
}

// kindOf is the sentinel that an error of the engine is about, or nil. Most errors of a pull come as
// an internal error, or as a line of its progress, so that only their words tell.
func kindOf(err error) error {
	if client.IsErrConnectionFailed(err) || isTransport(err) {
		return distributor.ErrEngine
	}
	text := strings.ToLower(err.Error())
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	case errdefs.IsUnavailable(err), has("dial unix"): // its containerd is down
		return distributor.ErrEngine
	case has("no space left on device", "disk quota exceeded"):
		return distributor.ErrNoSpace
	case has("failed to lease content", "blob not found", "content digest sha256:"): // of containerd's store: named, and not there
		return distributor.ErrDamaged
	case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err), has("unauthorized", ": denied", "is denied", "authentication required", "access denied", "access forbidden", "no basic auth credentials"):
		return distributor.ErrUnauthorized
	case has("failed to register layer"): // whatever it reads like after that, no registry is asked any more
		return nil
	case has("connection refused", "no such host", "network is unreachable", "no route to host", "i/o timeout",
		"connection reset", "tls handshake", "awaiting headers", "server misbehaving", "bad gateway", "service unavailable",
		"gave http response to https client", "x509:", "unexpected eof"):
		return distributor.ErrRegistry
	case errdefs.IsNotFound(err), has("manifest unknown", "no such image", "name unknown"):
		return distributor.ErrNotFound
	}
	return nil
}

// isTransport tells whether the connection to the engine broke. An error of the connection between
// engine and registry comes as text, so it has none of these types.
func isTransport(err error) bool {
	var op *net.OpError
	var u *url.Error
	return errors.As(err, &op) || errors.As(err, &u) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// alive tells whether the engine still answers, when a stream ended early.
func (e *Engine) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	_, err := e.api().Ping(ctx, client.PingOptions{})
	return err
}
