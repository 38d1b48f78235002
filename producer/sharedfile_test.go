package producer

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// TestOthersAreToldOfARefusedFile while it can't be used, with a producer's own rights, and not any more once it can.
func TestOthersAreToldOfARefusedFile(t *testing.T) {
	_, as := queuetest.Guarded(t)
	admin, own := as("admin"), as("producer")
	queuetest.Must(t, store.Declare(queuetest.Within(t), admin, store.Layout{}))
	good := item("")
	path := writeFile(t, good)
	pipelines, err := LoadPipelines(path)
	queuetest.Must(t, err)
	tells := TellFiles(own)
	key := messages.RefusedFileKey(tells.name, path)
	queuetest.Must(t, store.RefusedFiles(admin).Note(key, messages.RefusedFile{Producer: tells.name, Path: path, Error: "of a producer that was killed"}))
	said := func() string {
		e, err := store.RefusedFiles(admin).Current(queuetest.Within(t), key)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			t.Fatal(err)
		}
		return e.Value.Error
	}
	queuetest.Eventually(t, "an earlier one has said something", func() bool { return said() != "" })
	p, err := New(Config{Pipelines: pipelines, Queue: builds.New(own), Files: tells, LookInterval: 10 * time.Millisecond, Logger: zerolog.Nop()})
	queuetest.Must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	queuetest.Eventually(t, "what was said of an earlier one is gone", func() bool { return said() == "" })
	queuetest.Must(t, os.WriteFile(path, []byte(good+"\nno_such_field: 1\n"), 0o600))
	queuetest.Eventually(t, "it is said what is wrong", func() bool { return strings.Contains(said(), "no_such_field") })
	queuetest.Must(t, os.WriteFile(path, []byte(good), 0o600))
	queuetest.Eventually(t, "it is said no more", func() bool { return said() == "" })
}
