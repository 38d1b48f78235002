package queue

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// RoomError tells that JetStream has too little storage for the streams.
type RoomError struct {
	Stream string // the first that didn't fit
	Needed int64  // bytes that all streams that are declared with it may take, one copy
	Cause  error
}

// Error names what is needed, and where it is set.
func (e *RoomError) Error() string {
	const mib = 1 << 20
	return fmt.Sprintf("JetStream has too little storage (%s): the streams of an installation may take %d MiB on each server that has a copy, beside what others use. "+
		"Raise max_file_store in the jetstream block of the server's configuration, or the account's limit; "+
		"without max_file_store a server takes three quarters of what is free on its disk, so that %d MiB have to be free",
		strings.TrimPrefix(e.Cause.Error(), "nats: "), e.Needed/mib, e.Needed/3*4/mib)
}

// Unwrap returns ErrFull and the cause.
func (e *RoomError) Unwrap() []error { return []error{ErrFull, e.Cause} }

// undeclarable says why a stream can't be made, where it is not for what the stream is.
func undeclarable(want Stream, all []Stream, err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch code := api.ErrorCode; {
	case code == codeStorageExceeded, code == codeMemoryExceeded, code == codeInsufficientResources, code == codeAccountExceeded,
		code == codeNoPeers && strings.Contains(api.Description, "insufficient storage"):
		room := &RoomError{Stream: want.Name, Cause: api}
		for _, s := range all {
			room.Needed += max(s.MaxBytes, 0)
		}
		return room
	case code == codeNoPeers:
		return fieldError(fmt.Errorf("%w: %d copies want as many servers of the cluster with JetStream: start them, or ask for fewer", join(ErrUnavailable, api), want.Replicas), FieldReplicas)
	case code == codeReplicasAlone:
		return fieldError(fmt.Errorf("%w: this server is in no cluster: ask for one copy, or start it as one of %d in a cluster", api, want.Replicas), FieldReplicas)
	}
	return err
}
