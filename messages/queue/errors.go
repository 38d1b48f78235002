package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/messages/queue/diagnosis"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors that callers act on. Each is wrapped with what was being done and to what.
var (
	// ErrNotFound tells that there is no such record, message or context.
	ErrNotFound = errors.New("not found")
	// ErrExists tells that the key to be created has a record already.
	ErrExists = errors.New("exists already")
	// ErrMoved tells that a record is no longer at the revision the change was based on.
	ErrMoved = errors.New("was changed by somebody else in between")
	// ErrFull tells that a stream has reached its limit and refused the message.
	ErrFull = errors.New("the stream is full")
	// ErrTooLarge tells that a message or record is larger than the server takes.
	ErrTooLarge = errors.New("larger than the max_payload of NATS")
	// ErrUnavailable tells that NATS did not answer, so that it is not known whether the
	// operation took place. It may be tried again.
	ErrUnavailable = errors.New("NATS does not answer")
	// ErrForbidden tells that the credential does not allow the operation.
	ErrForbidden = errors.New("the credential does not allow this")
	// ErrUndeclared tells that a stream or bucket is missing: a controller or "fenceline init"
	// declares it.
	ErrUndeclared = errors.New("the stream does not exist: start a controller, or run fenceline init")
	// ErrDiffers tells that a stream exists with settings that must not be changed
	// silently; see DiffersError.
	ErrDiffers = errors.New("exists with other settings")
	// ErrUnchanged is returned by the function given to Modify to stop without a write.
	ErrUnchanged = errors.New("nothing to change")
	// ErrNobody tells that nobody heard a question.
	ErrNobody = errors.New("nobody hears it")
	// ErrUnanswered tells that a question was heard, and not answered in time.
	ErrUnanswered = errors.New("it is not answered")
	// ErrLeaseLost is the cause with which a delivery's or a lease's context ends when somebody
	// else may hold it by now. Nothing may be sent for it any more.
	ErrLeaseLost = errors.New("the lease is lost")
)

// FieldError is an error that setting some fields of Options or Stream otherwise can mend.
type FieldError = diagnosis.FieldError

// The fields that errors name beside those of package diagnosis.
const (
	FieldInboxPrefix = "InboxPrefix"
	FieldReplicas    = "Replicas"
)

// fieldError names the fields that err is about, if any.
func fieldError(err error, fields ...string) error {
	if len(fields) == 0 {
		return err
	}
	return &FieldError{Fields: fields, Err: err}
}

// DiffersError tells how an existing stream differs from what is needed.
type DiffersError struct {
	Stream string
	Field  string
	Have   string
	Want   string
	Fix    string
}

// Error names stream, field, what it has, what is needed and the fix.
func (e *DiffersError) Error() string {
	return fmt.Sprintf("stream %s exists with %s %s where %s is needed: %s", e.Stream, e.Field, e.Have, e.Want, e.Fix)
}

// Unwrap returns ErrDiffers.
func (e *DiffersError) Unwrap() error { return ErrDiffers }

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// Permanent marks a failure that trying again can't mend. It returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanentError{err}
}

// IsPermanent tells whether err was marked by Permanent.
func IsPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p)
}

// The error codes of JetStream's API that nats.go has no name for, from nats-server's
// errors.json.
const (
	codeAccountExceeded       jetstream.ErrorCode = 10002
	codeNoPeers               jetstream.ErrorCode = 10005
	codeClusterUnavailable    jetstream.ErrorCode = 10008
	codeClusterNotLeader      jetstream.ErrorCode = 10009
	codeInsufficientResources jetstream.ErrorCode = 10023
	codeMemoryExceeded        jetstream.ErrorCode = 10028
	codeStorageExceeded       jetstream.ErrorCode = 10047
	codeReplicasAlone         jetstream.ErrorCode = 10074
	codeStoreFailed           jetstream.ErrorCode = 10077 // a limit was reached, or the disk refused
	codeDuplicateInProcess    jetstream.ErrorCode = 10158 // the same message is being stored, and may still fail
)

// classify gives err the class that callers act on, and leaves it alone where it has none.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
			return join(ErrMoved, err)
		case codeStoreFailed, codeStorageExceeded, codeMemoryExceeded, codeInsufficientResources:
			return join(ErrFull, err)
		case jetstream.JSErrCodeStreamNotFound:
			return join(ErrUndeclared, err)
		case jetstream.JSErrCodeMessageNotFound:
			return join(ErrNotFound, err)
		}
		if api.Code == 503 || api.ErrorCode == codeDuplicateInProcess {
			return join(ErrUnavailable, err)
		}
		return err
	}
	var broken *net.OpError
	switch {
	case errors.As(err, &broken): // the connection broke while something was sent on it
		return join(ErrUnavailable, err)
	case errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		return join(ErrMoved, err)
	case errors.Is(err, jetstream.ErrBucketNotFound):
		return join(ErrUndeclared, err)
	case errors.Is(err, jetstream.ErrObjectNotFound), errors.Is(err, jetstream.ErrKeyNotFound):
		return join(ErrNotFound, err)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return &nobodyError{err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout),
		errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrReconnectBufExceeded),
		errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrConnectionReconnecting),
		errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrConnectionClosed),
		errors.Is(err, jetstream.ErrServerShutdown), errors.Is(err, nats.ErrStaleConnection),
		errors.Is(err, jetstream.ErrNoHeartbeat), errors.Is(err, jetstream.ErrConsumerDeleted),
		errors.Is(err, jetstream.ErrTooManyStalledMsgs), errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return join(ErrUnavailable, err)
	case errors.Is(err, nats.ErrMaxPayload):
		return join(ErrTooLarge, err)
	case errors.Is(err, nats.ErrPermissionViolation):
		return join(ErrForbidden, err)
	}
	return err
}

// unsent tells whether an operation that failed with ErrUnavailable surely did not take place.
func unsent(err error) bool {
	for _, e := range []error{
		nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting, nats.ErrConnectionClosed, nats.ErrNoResponders,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// nobodyError tells that nobody listens on a subject: no stream takes it, or JetStream is not up.
type nobodyError struct{ cause error }

func (*nobodyError) Error() string {
	return "no stream answers there: start a controller, or run fenceline init, which make the streams; or JetStream is off; or the server was reloaded only once since this user is new"
}

func (e *nobodyError) Unwrap() []error { return []error{ErrUnavailable, ErrUndeclared, e.cause} }

// refusedError tells that the server does not let a user in.
type refusedError struct{ cause error }

func (e *refusedError) Error() string {
	return "the server refuses the user (" + strings.TrimPrefix(e.cause.Error(), "nats: ") + ")"
}

func (e *refusedError) Unwrap() []error { return []error{ErrForbidden, e.cause} }

// classed is an error with a class of ours in front of what NATS said.
type classed struct{ class, cause error }

func join(class, cause error) error { return &classed{class, cause} }

func (e *classed) Error() string {
	cause := strings.TrimPrefix(e.cause.Error(), "nats: ")
	if errors.Is(e.cause, nats.ErrReconnectBufExceeded) {
		cause = "not connected" // nothing is kept back to be sent later, so that the buffer is always full
	}
	return e.class.Error() + " (" + cause + ")"
}

func (e *classed) Unwrap() []error { return []error{e.class, e.cause} }

// wrongSequence is how the server names the last sequence of a subject where another was expected.
var wrongSequence = regexp.MustCompile(`wrong last sequence: (\d+)`)

// LastSequence is the sequence of the last message on a subject, as an ErrMoved tells it: 0 where
// there is none. It is not known where the server doesn't know it yet.
func LastSequence(err error) (sequence uint64, known bool) {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return 0, false
	}
	m := wrongSequence.FindStringSubmatch(api.Description)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	return n, err == nil
}
