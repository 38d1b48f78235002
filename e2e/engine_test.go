package e2e

import (
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// cut is a socket in front of another one, which a test can cut.
type cut struct {
	path string // of the socket

	mu    sync.Mutex
	open  bool
	conns map[net.Conn]bool
}

// newCut starts a socket that leads to the machine's Docker engine, cut at first.
func newCut(t *testing.T) *cut {
	t.Helper()
	c := &cut{path: filepath.Join(shortDir(t), "docker.sock"), conns: map[net.Conn]bool{}}
	l, err := net.Listen("unix", c.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); c.set(false) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(conn)
		}
	}()
	return c
}

// shortDir is a folder for sockets, whose paths have to be short.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (c *cut) serve(conn net.Conn) {
	defer conn.Close()
	engine, err := net.Dial("unix", strings.TrimPrefix(dockerHost(), "unix://"))
	if err != nil || !c.keep(conn, engine) {
		return
	}
	defer engine.Close()
	go func() { _, _ = io.Copy(engine, conn); _ = engine.(*net.UnixConn).CloseWrite() }()
	_, _ = io.Copy(conn, engine)
}

func (c *cut) keep(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		c.conns[conn] = c.open
	}
	return c.open
}

// set opens or cuts it.
func (c *cut) set(open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = open
	if !open {
		for conn := range c.conns {
			conn.Close()
		}
		clear(c.conns)
	}
}

func dockerHost() string {
	if h := os.Getenv("DOCKER_HOST"); h != "" {
		return h
	}
	return "unix:///var/run/docker.sock"
}

// TestEngine takes the engine from a node, and the room on its disk: the node says so and how
// to mend it, nothing flips meanwhile, and what was accepted follows once it is mended.
func TestEngine(t *testing.T) {
	fleet := fleetOf("engine")
	engine := newCut(t)
	engine.set(true)
	s := own(t, []pipeline{{name: "engine", fleet: fleet}}, "--fleet", fleet, "--node", fleet, "--docker-host", "unix://"+engine.path)
	t.Run("gone before the first image", func(t *testing.T) {
		engine.set(false)
		first := s.ended(t, s.build(t, "engine", exporting("one")))
		s.problem(t, "unix://"+engine.path, "check that dockerd runs there")
		s.waits(t, fleet, first, fleet+" (")
		if out, err := s.Run(t.Context(), "config", "get", "fence", "docker/image"); err == nil {
			t.Errorf("without an engine the fence config became %s", out)
		}
		engine.set(true)
		s.awaitFence(t, first.Image)
		s.problem(t)
	})
	t.Run("gone in the middle", func(t *testing.T) {
		current := s.fence(t)
		engine.set(false)
		second := s.ended(t, s.build(t, "engine", exporting("two")))
		s.problem(t, "unix://"+engine.path, "check that dockerd runs there")
		s.waits(t, fleet, second, fleet+" (")
		if got := s.fence(t); got != current {
			t.Errorf("without an engine the fence config moved to %s", got)
		}
		engine.set(true)
		s.awaitFence(t, second.Image)
		s.problem(t)
	})
	t.Run("out of disk", func(t *testing.T) {
		current, flags := s.fence(t), s.flags
		s.again(t, append(slices.Clone(flags), "--min-free-bytes", strconv.Itoa(math.MaxInt64))...)
		third := s.ended(t, s.build(t, "engine", exporting("three")))
		s.problem(t, "bytes are free where the engine keeps images", "remove images or files, or lower min-free-bytes")
		s.waits(t, fleet, third, fleet+" (")
		if got := s.fence(t); got != current {
			t.Errorf("without room for it the fence config moved to %s", got)
		}
		s.again(t, flags...)
		s.awaitFence(t, third.Image)
		s.problem(t)
	})
}

// again ends the stack and starts it with other flags.
func (s *stack) again(t *testing.T, flags ...string) {
	t.Helper()
	if err := s.up.Stop(grace); err != nil {
		t.Fatal(err)
	}
	s.flags = flags
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// problem waits until `fenceline status` shows a problem of the node with all of the words,
// or none where there are no words.
func (s *stack) problem(t *testing.T, words ...string) {
	t.Helper()
	s.awaitStatus(t, "  problem: node ", words...)
}
