package confdis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/fenceline/fenceline/fence"
)

// documentError is a fault in what the document says.
type documentError struct{ err error }

func (e *documentError) Error() string { return e.err.Error() }
func (e *documentError) Unwrap() error { return e.err }

// refused tells an answer from the want of one.
func refused(err error) bool {
	var answer redis.Error
	var fault *documentError
	return errors.As(err, &answer) || errors.As(err, &fault)
}

// fixes are what mends what Redis answers, by the word that an answer begins with.
var fixes = []struct{ word, cause string }{
	{"READONLY", "it is a read-only replica: name the primary node's Redis"},
	{"OOM", "it is full: give it more memory (`redis-cli config set maxmemory`), or find who fills it"},
	{"WRONGTYPE", "its key fence holds no string, so this is not where Stackato's configuration is, or somebody wrote over it: look with `redis-cli type fence`"},
	{"NOAUTH", "it wants a password: keep the URI with it, redis://:PASSWORD@HOST:PORT/DATABASE, in a file"},
	{"WRONGPASS", "it refuses this user and password: put the right ones into the URI"},
	{"ERR invalid password", "it refuses this password: put the right one into the URI"},
	{"ERR Client sent AUTH", "it has no password: leave the one in the URI out"},
	{"ERR AUTH", "it has no password for this user: leave it out of the URI, or set it there"},
	{"NOPERM", "this user may not: allow it `+get +set +watch +unwatch +multi +exec +discard +publish +select ~fence &fence:_changes`"},
	{"MISCONF", "it can't save to its disk and takes no writes until it can: look at its log and its disk"},
	{"LOADING", "it has just started and still loads its data: wait"},
	{"MASTERDOWN", "it is a replica that has lost its primary: name the primary node's Redis"},
	{"NOREPLICAS", "it wants replicas that are not there before it takes a write: start them, or lower min-replicas-to-write"},
	{"BUSY", "it is busy with a script: `redis-cli script kill` ends it"},
	{"DENIED", "it is in protected mode and takes nobody from another machine: bind it to an address and give it a password"},
	{"ERR DB index", "it has no such database: name another in the URI"},
	{"ERR max number of clients", "it has too many clients: raise its maxclients"},
	{"MOVED", "it is a node of a Redis cluster, which Stackato's configuration is never kept in"},
}

// where a call goes, for people.
type where struct {
	place  string // an address without secrets
	secure bool   // whether it is asked for TLS
}

// explained adds to an error where it happened, and the fix.
func explained(ctx context.Context, err error, at where) error {
	var fault *documentError
	var answer redis.Error
	var network net.Error
	switch {
	case errors.Is(err, fence.ErrConflict):
		return err
	case errors.As(err, &fault):
		return fmt.Errorf("%s: %w", at.place, err)
	case errors.Is(err, redis.Nil):
		return fmt.Errorf("%s has no document of component fence: is this Stackato's own Redis, and this database? If so, `kato config set fence docker/image IMAGE` begins one", at.place)
	case errors.As(err, &answer):
		return fmt.Errorf("%s refused: %w%s", at.place, err, fix(err.Error()))
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w (%w)", at.place, context.Cause(ctx), err)
	case errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%s gave no answer in time: %w: is the host up, and does a firewall let this through?", at.place, err)
	}
	return fmt.Errorf("%s can't be reached: %w%s", at.place, err, unreachable(err, at.secure))
}

func fix(answer string) string {
	answer = strings.TrimPrefix(answer, "failed to authenticate: ")
	for _, f := range fixes {
		if strings.HasPrefix(answer, f.word) {
			return ": " + f.cause
		}
	}
	return ""
}

func unreachable(err error, secure bool) string {
	switch text := err.Error(); {
	case strings.Contains(text, "connection refused"):
		return ": is it running (`kato process status config_redis`), and is the port right? Stackato's is 7474"
	case strings.Contains(text, "first record does not look like a TLS handshake"):
		return ": it does not speak TLS there: begin the URI with redis://"
	case strings.Contains(text, "certificate"):
		return ": name the authority of its certificate"
	case !strings.Contains(text, "EOF") && !strings.Contains(text, "reset by peer") && !strings.Contains(text, "broken pipe"):
		return ""
	case secure:
		return ": it ended the connection: does it want to be shown a certificate?"
	}
	return ": it ended the connection: if it speaks TLS there, begin the URI with rediss://"
}
