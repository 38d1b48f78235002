package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
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

// TestEngineGone takes the engine from a node: the node says so, nothing flips meanwhile, and
// what was accepted follows when the engine is back.
func TestEngineGone(t *testing.T) {
	const fleet = "e2e-engine"
	engine := newCut(t)
	engine.set(true)
	s := own(t, []pipeline{{name: "engine", fleet: fleet}}, "--fleet", fleet, "--node", fleet, "--docker-host", "unix://"+engine.path)
	engine.set(false)
	first := s.ended(t, s.build(t, "engine", exporting("one")))
	s.engineFails(t, true)
	if out, err := s.Run(t.Context(), "config", "get", "fence", "docker/image"); err == nil {
		t.Errorf("without an engine the fence config became %s", out)
	}
	engine.set(true)
	s.awaitFence(t, first.Image)

	engine.set(false)
	second := s.ended(t, s.build(t, "engine", exporting("two")))
	s.engineFails(t, true)
	if got := s.fence(t); got != first.Image {
		t.Errorf("without an engine the fence config moved to %s", got)
	}
	engine.set(true)
	s.awaitFence(t, second.Image)
	s.engineFails(t, false)
}

// engineFails waits until the node says whether its engine can be reached.
func (s *stack) engineFails(t *testing.T, want bool) {
	t.Helper()
	await(t, fmt.Sprintf("engine gone: %v", want), func(ctx context.Context) error {
		var nodes []struct {
			Status struct {
				Engine struct {
					Error string `json:"error"`
				} `json:"engine"`
			} `json:"status"`
		}
		if err := s.JSON(ctx, &nodes, "nodes"); err != nil {
			return err
		}
		if len(nodes) != 1 {
			return errors.New("not one node")
		}
		if got := nodes[0].Status.Engine.Error; (got != "") != want {
			return fmt.Errorf("the node says %q", got)
		}
		return nil
	})
}
