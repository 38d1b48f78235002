package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestSIGHUPReadsThePipelineFileAgain in `run producer` and in `up`.
func TestSIGHUPReadsThePipelineFileAgain(t *testing.T) {
	kept := make(chan os.Signal, 8)
	signal.Notify(kept, syscall.SIGHUP) // else it would end this test
	defer signal.Stop(kept)
	for name, args := range map[string]func(dir, config string) []string{
		"run producer": func(_, config string) []string {
			t.Setenv("FENCELINE_NATS", queuetest.Start(t).URL())
			return []string{"run", "producer", "--config", config, "--listen", "127.0.0.1:0"}
		},
		"up": func(dir, _ string) []string { return upArgs(t, dir) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			config := filepath.Join(dir, "fenceline.yaml")
			clitest.Write(t, config, goodPipelines)
			until := `"running"`
			line := args(dir, config)
			if line[0] == "up" {
				until = "up: try"
			}
			log, _ := start(t, until, line...)
			heard, late := log.Await("SIGHUP: the pipeline file is read again"), time.After(time.Minute)
			clitest.Write(t, config, strings.Replace(goodPipelines, "name: base", "name: another", 1))
			again := time.NewTicker(100 * time.Millisecond) // it may listen for signals later than it says that it runs
			defer again.Stop()
			for waiting := true; waiting; {
				if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
					t.Fatal(err)
				}
				select {
				case <-heard:
					waiting = false
				case <-again.C:
				case <-late:
					t.Fatalf("it heard no SIGHUP: %s", log)
				}
			}
			select {
			case <-log.Await("the pipeline file was read again"):
			case <-late:
				t.Fatalf("it was not read again: %s", log)
			}
		})
	}
}
