package queue

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/fenceline/fenceline/messages/queue/diagnosis"
	"github.com/nats-io/nats.go"
)

func TestAFullServerIsToldFromOthers(t *testing.T) {
	for _, err := range []error{
		nats.ErrMaxConnectionsExceeded, nats.ErrMaxAccountConnectionsExceeded,
		errors.New("nats: maximum connections exceeded"), // as a first connection is refused
	} {
		if got := connectError(diagnosis.Way{Server: "nats://core:4222"}, err); !errors.Is(got, ErrUnavailable) || !diagnosis.IsCrowded(got) {
			t.Errorf("%v is %v", err, got)
		}
	}
	for _, err := range []error{nil, nats.ErrAuthorization, nats.ErrTimeout} {
		if diagnosis.IsCrowded(err) {
			t.Errorf("%v is taken for it", err)
		}
	}
}

// TestABrokenConnectionIsAnOutage: what was sent on it may be stored or not, so it may be tried again.
func TestABrokenConnectionIsAnOutage(t *testing.T) {
	if err := classify(&net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the error is %v", err)
	}
}
