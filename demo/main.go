// The demo shows a git push become the fleet's image, on real parts, as an outside user
// would: it starts `fenceline up` and drives it by its commands and by git alone. With -stay it
// starts the same and leaves the pushing to you.
//
// The files, in reading order:
//
//	main.go    the course of it
//	stage.go   what it runs on starts and ends; package site has the parts
//	pushes.go  pushes, and what becomes of them
//	checks.go  proof from outside
//	screen.go  what is shown
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/fenceline/fenceline/terminal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for the end of everything
	err := run(ctx)
	if err != nil {
		_ = terminal.Line(terminal.New(os.Stderr), "demo: failed: %v", err)
		os.Exit(1)
	}
}

var errInterrupted = errors.New("interrupted")

func run(ctx context.Context) error {
	stay := flag.Bool("stay", false, "start everything, and stay until Ctrl-C")
	root := flag.String("root", ".", "the checkout")
	flag.Parse()
	dir, err := filepath.Abs(*root)
	if err != nil {
		return fmt.Errorf("finding the checkout: %w", err)
	}
	s, err := newStage(dir, newScreen(os.Stdout))
	if err != nil {
		return err
	}
	if err = s.start(ctx); err == nil {
		if *stay {
			err = s.stay(ctx)
		} else {
			err = s.play(ctx)
		}
	}
	switch {
	case ctx.Err() != nil:
		err = nil
		if !*stay {
			err = errInterrupted
		}
	case err != nil:
		err = s.explain(err)
	}
	return errors.Join(err, s.end())
}
