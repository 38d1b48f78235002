package queuetest

import (
	"strings"
	"sync"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/rs/zerolog"
)

// Output is a log that several goroutines write.
type Output struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write adds to it.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is what was written.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Logger has a client log to it.
func (o *Output) Logger(to *queue.Options) { to.Logger = zerolog.New(o) }
