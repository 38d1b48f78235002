package controller_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestAStoppingControllerPassesQuestionsOn stops a controller that has heard a person's questions: one that it is
// at, whose store doesn't answer, and some that wait for that one. The next controller is asked, and answers.
func TestAStoppingControllerPassesQuestionsOn(t *testing.T) {
	o := newOutside(t)
	i := install(t)
	o.write(t, "default", "stackato/stack-alsek")
	places := o.places(t, messages.FenceExec, "{fleet}")
	stop := i.stoppable(t, places)
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	if _, err := people.ReadFence(t.Context(), i.q, "default"); err != nil { // it acts
		t.Fatal(err)
	}
	o.write(t, "hangs", "")

	heard, listening, ended := make(chan struct{}, 10), make(chan struct{}), make(chan struct{})
	listen, end := context.WithCancel(t.Context())
	go func() {
		defer close(ended)
		_ = i.q.HearHints(listen, i.q.Space().AnyVersion(messages.TypeFenceAsked), func() error { close(listening); return nil },
			func(string, messages.Message) error { heard <- struct{}{}; return nil })
	}()
	<-listening
	answers := make(chan error, 3)
	for range cap(answers) - 1 {
		go func() {
			_, err := people.ReadFence(t.Context(), i.q, "default")
			answers <- err
		}()
	}
	go func() {
		_, err := people.ForceFence(t.Context(), i.q, "default", "exampleco/newimg", "a trial", "ada")
		answers <- err
	}()
	for range cap(answers) {
		<-heard
	}
	end()
	<-ended // who listens would be taken for a controller that has heard what is asked again
	asked := time.Now()
	stop()
	if err := os.Remove(filepath.Join(o.dir, "hangs")); err != nil {
		t.Fatal(err)
	}
	i.controller(t, "c2", places)
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Errorf("after %s: %v", time.Since(asked), err)
		}
	}
	o.holds(t, "default", "exampleco/newimg")
}

// stoppable runs a controller that the returned function stops as a service is.
func (i installation) stoppable(t *testing.T, change func(*controller.Config)) (stop func()) {
	t.Helper()
	cfg := controller.Config{Queue: i.server.Connect(t), Name: "c1"}
	change(&cfg)
	c, err := controller.New(cfg)
	queuetest.Must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(cancel)
	return stop
}

