package standalone

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// healthInterval is between two looks at the server's health.
const healthInterval = 2 * time.Second

// watchHealth looks after a server until the returned function is called, and delivers to
// fatal that JetStream doesn't take writes any more. After an error of the disk a stream
// refuses every write until it is opened anew, with space on the disk again or not, and the
// server only logs that: it has to be started again.
func watchHealth(s *server.Server, dir string, fatal chan<- error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(healthInterval)
		defer tick.Stop()
		for last := ""; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// A stream that is being made shows as an error for a moment: its folder is there before
			// it is. So only an error that is seen twice counts.
			now := s.Healthz(nil).Error
			if now != "" && now == last {
				fail(fatal, storeError(dir, errors.New(now)))
				return
			}
			last = now
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
