package controller_test

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/kato"
	"github.com/fenceline/fenceline/fence/kato/katotest"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/rs/zerolog"
)

// The environment of a test binary that is a controller: NATS, kato, and the lock of its writers.
const (
	envNATS = "CONTROLLER_TEST_NATS"
	envKato = "CONTROLLER_TEST_KATO"
	envLock = "CONTROLLER_TEST_LOCK"
)

func TestMain(m *testing.M) {
	if os.Getenv(envNATS) == "" {
		os.Exit(m.Run())
	}
	log := zerolog.New(os.Stderr)
	if err := runController(log); err != nil {
		log.Fatal().Err(err).Msg("ended")
	}
}

// runController is a controller in a process of its own, whose fleets live in kato.
func runController(log zerolog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	q, err := queue.Connect(ctx, queue.Options{URL: os.Getenv(envNATS), Source: "/fenceline/test", Logger: log})
	if err != nil {
		return err
	}
	defer q.Close()
	b := kato.New(kato.Config{Program: os.Getenv(envKato), LockFile: os.Getenv(envLock)})
	c, err := controller.New(controller.Config{
		Queue: q, Name: "c" + strconv.Itoa(os.Getpid()), LeaseTTL: 6 * time.Second, Logger: log,
		Backend: func(fleet, _ string) (fence.Place, error) {
			return fence.Place{Backend: b, Kind: messages.FenceKato, Sole: true, Journal: natskv.NewJournal(q, fleet, messages.FenceKato)}, nil
		},
	})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// process starts a controller, which the test ends.
func (i installation) process(t *testing.T, k *katotest.Cluster) *os.Process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envNATS+"="+i.server.URL(), envKato+"="+k.Program, envLock+"="+k.LockFile())
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	return cmd.Process
}

func inKato(t *testing.T, k *katotest.Cluster, i messages.Image) {
	t.Helper()
	queuetest.Eventually(t, "kato to have "+string(i), func() bool { return k.Docker()["image"] == string(i) })
}

// TestAControllerThatIsStoppedWritesLate stops a controller's process in the middle of a write, by SIGSTOP and
// with the lock of the host, and its kato just before that writes. Another controller takes over and goes on
// (invariant 6); the image that a person went back from, which is written late, is put right (5), by itself and
// as nobody's doing.
func TestAControllerThatIsStoppedWritesLate(t *testing.T) {
	k := katotest.New(t, `{"docker": {"image": "stackato/stack-alsek"}}`)
	i := install(t)
	first := i.process(t, k)
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	i.announce(t, 1, target("default", nil))
	inKato(t, k, image(1))

	k.Fails(`case "$*" in *set*` + image(2).Digest() + `*) mkdir $dir/begun 2>/dev/null && { echo $$ >$dir/pid; kill -STOP $$; };; esac; exec $real "$@"`)
	i.announce(t, 2, target("default", nil))
	late := 0
	queuetest.Eventually(t, "the first controller to write", func() bool {
		late, _ = strconv.Atoi(k.File("pid"))
		return late > 0
	})
	if err := first.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	k.Fails("") // for whom comes now
	i.process(t, k)
	inKato(t, k, image(2))
	if _, err := people.Rollback(t.Context(), i.q, "default", "", "ada"); err != nil { // an event could be with the one that is stopped
		t.Fatal(err)
	}
	followed := func(r messages.FleetRecord) bool {
		return r.Applied.Epoch == 3 && r.Applied.Value == string(image(1)) && r.Applied.Error == ""
	}
	i.fleet(t, "default", "to follow a person", followed)

	if err := syscall.Kill(late, syscall.SIGCONT); err != nil {
		t.Fatalf("the late write can't go on: %v", err)
	}
	queuetest.Eventually(t, "the late write to be seen", func() bool {
		return strings.Count("\n"+i.past(t, "default"), "\nkato 2 ") == 2
	})
	inKato(t, k, image(1))
	if err := first.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	i.heartbeats(t, 5)
	inKato(t, k, image(1))
	r := i.fleet(t, "default", "to be as it was", followed)
	if r.Epoch != 3 || r.Highest != 2 || r.Current.Order != 1 || r.Hold == nil || r.Hold.By != "ada" {
		t.Errorf("the record is %+v", r)
	}
}
