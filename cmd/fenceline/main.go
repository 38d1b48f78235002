// Command fenceline keeps the base image of a container fleet current. `fenceline up` runs
// everything on this machine; `fenceline run` runs one role of it. What these are told is in package
// settings, and all other commands are in package cli. To be read in this order:
//
//   - main.go: the start, the signals, the exit status
//   - roles.go: how each role is made of its settings
//   - run.go: `fenceline run ROLE`
//   - up.go: `fenceline up`
//   - console.go: the console with its HTTP server
//   - listen.go: where webhooks and calls come in, and pages are served
//   - health.go: whether roles are ready, and their metrics
//   - storage.go: what metrics ask of NATS
//   - memory.go: what a process that waits gives back
//   - singlepages.go: and how it takes again no more than it uses
//   - shutdown.go: how parts that run together end
package main

import (
	"context"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/standalone"
	"github.com/fenceline/fenceline/terminal"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

func main() {
	standalone.ServePlugin()                   // as which buildkitd may have started it
	zerolog.TimeFieldFormat = time.RFC3339Nano // of all loggers
	log.SetOutput(terminal.New(os.Stderr))     // of libraries that ask for no logger
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs one command line, until it is done, ctx ends or a signal asks to stop, and
// returns its exit status. A second signal ends the process at once.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return cli.Execute(ctx, newRoot(), args, stdin, stdout, stderr)
}

func newRoot() *cobra.Command { return cli.NewRoot(newUpCmd(), newRunCmd()) }
