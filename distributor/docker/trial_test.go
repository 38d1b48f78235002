package docker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
)

// trialOf tries an image whose pre-running fails, and returns the reason and the output.
func trialOf(t *testing.T, s *site, hook, network string) (string, error) {
	t.Helper()
	e, w := s.engine(t), s.newWorld(t, nil)
	t.Cleanup(func() { w.forget(t, e) })
	trial := distributor.Trial{
		Owner: w.fleet + ".node", Rollout: "r1", HooksDir: enginetest.HooksDir, Hooks: []string{"pre-running"}, Timeout: time.Minute,
		Network: network, Image: w.hooked(t, map[string]string{"pre-running": hook}),
	}
	if _, err := e.Pull(t.Context(), trial.Image, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	got, err := e.Trial(t.Context(), trial)
	if err != nil || got.Passed || len(got.Hooks) != 1 {
		return "", errors.Join(err, errors.New("no failing hook"))
	}
	if n := len(got.Hooks[0].Output); n > 4<<10 {
		t.Errorf("%d bytes of output", n)
	}
	return got.Reason + "\n" + got.Hooks[0].Output, nil
}

func TestAHookThatPrintsWithoutEnd(t *testing.T) { eachEngine(t, testAHookThatPrintsWithoutEnd) }

func testAHookThatPrintsWithoutEnd(t *testing.T, s *site) {
	got, err := trialOf(t, s, "#!/bin/sh\n/bin/busybox head -c 2000000 /dev/urandom\n/bin/busybox head -c 2000000 /dev/zero | /bin/busybox tr '\\0' x\necho\necho last\nexit 3\n", "")
	if err != nil || !strings.Contains(got, "status 3") || !strings.HasSuffix(got, "last") {
		t.Errorf("error %v, got %.300q", err, got)
	}
}

func TestAHookThatNeedsTooMuchMemory(t *testing.T) { eachEngine(t, testAHookThatNeedsTooMuchMemory) }

func testAHookThatNeedsTooMuchMemory(t *testing.T, s *site) {
	got, err := trialOf(t, s, "#!/bin/sh\nx=x; while :; do x=$x$x; done\n", "")
	if err != nil || !strings.Contains(got, "1024 MiB of memory") {
		t.Errorf("error %v, got %.300q", err, got)
	}
}

func TestATrialsNetworkThatIsNotThere(t *testing.T) { eachEngine(t, testATrialsNetworkThatIsNotThere) }

func testATrialsNetworkThatIsNotThere(t *testing.T, s *site) {
	_, err := trialOf(t, s, "#!/bin/sh\n", "no-such-network")
	if err == nil || errors.Is(err, distributor.ErrNotFound) || !strings.Contains(err.Error(), "no-such-network") || !strings.Contains(err.Error(), "trial.network") {
		t.Errorf("error %v, want one that names the network and the fix", err)
	}
}
