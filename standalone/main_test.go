package standalone_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/standalone"
)

// stackFolder makes this test binary, run again, a process that starts a stack over the
// folder and stays: what the tests kill.
const stackFolder = "FENCELINE_TEST_STACK"

func TestMain(m *testing.M) {
	standalone.ServePlugin()
	if dir := os.Getenv(stackFolder); dir != "" {
		if err := holdStack(dir); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		return
	}
	standalone.RedirectLogrus(zerolog.Nop())
	os.Exit(m.Run())
}

func holdStack(dir string) error {
	state, err := standalone.OpenState(dir)
	if err != nil {
		return err
	}
	c, err := config(state)
	if err != nil {
		return err
	}
	if _, err := standalone.Start(context.Background(), c); err != nil {
		return err
	}
	fmt.Println("started")
	select {}
}

// config is that of a stack on free ports with the programs that `make setup` builds.
func config(state *standalone.State) (standalone.Config, error) {
	bin := os.Getenv("FENCELINE_BIN")
	if bin == "" {
		bin = filepath.Join("..", ".fenceline", "bin")
	}
	buildkitd, err := standalone.FindProgram("buildkitd", "", bin)
	if err != nil {
		return standalone.Config{}, err
	}
	runc, err := standalone.FindProgram("runc", "", bin)
	if err != nil {
		return standalone.Config{}, err
	}
	program, err := os.Executable()
	return standalone.Config{
		Program: program, StepNetwork: standalone.NetworkOwn, StepLimits: standalone.BuildLimits{Memory: 1 << 30, Processes: 1000},
		State: state, NATS: "127.0.0.1:0", Registry: "127.0.0.1:0", Buildkitd: buildkitd, Runc: runc,
		Users:  []standalone.User{{Name: "operator", Publish: []string{">"}, Subscribe: []string{">"}}},
		Logger: zerolog.Nop(),
	}, err
}
