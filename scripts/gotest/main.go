// Command gotest runs `go test` and says as it goes what runs and how far it is.
//
//	gotest [-FLAG[=VALUE]]... PACKAGE...
//
// Flags and packages are go test's, each package written out. Without -p more packages than the machine has processors are
// tested at once, as most of their tests wait for leases, other processes and disks. What go test says at the end of a
// package (`ok`, `FAIL`, `?`) stays as it is, and so do its exit status and all that a package
// that fails has to say about it. Interrupted, it ends with 128 and the signal's number.
//
// The files, in reading order:
//
//	main.go      runs go test
//	atonce.go    says how many packages go test is to test at once
//	progress.go  counts and says
//	failure.go   shows a package that failed
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// sayEvery is how often it says what runs.
const sayEvery = 20 * time.Second

func main() {
	status, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	os.Exit(status)
}

// run runs go test and returns its exit status.
func run(args []string, out io.Writer) (status int, err error) {
	cmd := exec.Command("go", slices.Concat([]string{"test", "-json"}, atOnce(args), args)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 1, fmt.Errorf("running go test: %w", err)
	}
	// Ctrl-C reaches go test by itself: what it says until it ends is still shown.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("running go test: %w", err)
	}
	lines := make(chan []byte)
	var readErr error
	go func() {
		defer close(lines)
		readErr = read(stdout, lines)
	}()
	p := newProgress(out, packages(args), time.Now())
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	stopped := 0
	for open := true; open; {
		var line []byte
		select {
		case line, open = <-lines:
			p.line(line, time.Now())
		case now := <-tick.C:
			p.say(now)
		case s := <-signals:
			stopped = 128 + int(s.(syscall.Signal))
			if s == syscall.SIGTERM {
				_ = cmd.Process.Signal(s)
			}
		}
	}
	err = cmd.Wait()
	status = cmd.ProcessState.ExitCode()
	if stopped > 0 {
		status = stopped
	}
	p.end(status, time.Now())
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
		if status < 0 { // a signal ended it
			status = 1
		}
	}
	return status, errors.Join(err, readErr)
}

// packages are the arguments that are no flags.
func packages(args []string) (out []string) {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			out = append(out, a)
		}
	}
	return out
}

// read sends the lines of r, however long.
func read(r io.Reader, lines chan<- []byte) error {
	for b := bufio.NewReader(r); ; {
		line, err := b.ReadBytes('\n')
		if len(line) > 0 {
			lines <- line
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading what go test says: %w", err)
		}
	}
}

// event is a line of go test -json, as `go doc test2json` and `go help buildjson` have it.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds
}

// line takes a line of go test's. One that is no event is shown as it is.
func (p *progress) line(line []byte, now time.Time) {
	if len(line) == 0 {
		return
	}
	var e event
	if err := json.Unmarshal(line, &e); err != nil || e.Action == "" {
		fmt.Fprintf(p.out, "%s", line)
		return
	}
	p.take(e, now)
}
