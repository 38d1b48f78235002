package docker_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// Where these variables are set, the test's program runs a trial instead of tests, to be killed.
const (
	trialImage = "FENCELINE_TEST_TRIAL_IMAGE"
	trialOwner = "FENCELINE_TEST_TRIAL_OWNER"
	trialHost  = "FENCELINE_TEST_TRIAL_HOST"
)

func TestMain(m *testing.M) {
	if image := os.Getenv(trialImage); image != "" {
		e, err := docker.New(docker.Config{Host: os.Getenv(trialHost)})
		if err == nil {
			_, _ = e.Trial(context.Background(), distributor.Trial{
				Owner: os.Getenv(trialOwner), Rollout: "r1", Image: messages.Image(image), HooksDir: enginetest.HooksDir,
				Hooks: []string{"pre-running"}, Timeout: 15 * time.Second,
			})
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// What a killed agent was trying ends by itself, also where no agent ever starts again.
func TestATrialWhoseAgentIsKilledEnds(t *testing.T) { eachEngine(t, testKilledAgent) }

func testKilledAgent(t *testing.T, s *site) {
	w, e := s.newWorld(t, nil), s.engine(t)
	t.Cleanup(func() { w.forget(t, e) })
	image := w.push(t, w.base, accounts(t), hookLayer(t, map[string]string{
		"pre-running": "#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do /bin/busybox sleep 1; done\n",
	}))
	if _, err := e.Pull(t.Context(), image, func(distributor.Progress) {}); err != nil {
		t.Fatal(err)
	}
	owner := w.fleet + ".node"
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), trialImage+"="+string(image), trialOwner+"="+owner, trialHost+"="+s.host)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := e.RemoveTrials(context.Background(), owner); err != nil {
			t.Error(err)
		}
	})
	api := s.api(t)
	running := func(want int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			list, err := api.ContainerList(ctx, client.ContainerListOptions{Filters: client.Filters{}.Add("label", "fenceline.owner="+owner)})
			if err != nil {
				t.Fatalf("waiting for %d running containers: %v", want, err)
			}
			if len(list.Items) == want {
				return
			}
			<-tick.C
		}
	}
	running(1)
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait() // it ends by the signal
	running(0)
}
