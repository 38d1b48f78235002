package e2e

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// grace is how long a child may take to end once it is asked to.
const grace = 30 * time.Second

// children are the programs that the tests have started, to be ended when the tests are
// interrupted. A test that ends by itself ends its own.
type children struct {
	mu    sync.Mutex
	all   []*site.Process
	ended bool
}

var errInterrupted = errors.New("the tests were interrupted")

// start starts a program, unless the tests were interrupted.
func (c *children) start(p site.Program) (*site.Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, errInterrupted
	}
	child, err := site.Start(p)
	if err == nil {
		c.all = append(c.all, child)
	}
	return child, err
}

// end ends all that run, and lets none begin.
func (c *children) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	var wait sync.WaitGroup
	for _, child := range c.all {
		wait.Go(func() { _ = child.Stop(grace) })
	}
	wait.Wait()
}

// onInterrupt runs clean and exits when the first of the signals arrives.
func onInterrupt(signals <-chan os.Signal, clean func()) {
	s := <-signals
	fmt.Fprintf(os.Stderr, "e2e: %s: ending what was started\n", s)
	clean()
	os.Exit(128 + int(s.(syscall.Signal)))
}
