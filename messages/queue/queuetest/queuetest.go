// Package queuetest runs a real NATS server with JetStream inside a test.
package queuetest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/nats-io/nats-server/v2/server"
)

// startTime bounds how long a server may take to come up.
const startTime = 20 * time.Second

// Server is a NATS server on a port of its own, over a folder of the test. It ends with the
// test.
type Server struct {
	options server.Options
	running *server.Server
}

// Start starts a server. Change alters its options: users with permissions, SyncAlways.
func Start(t testing.TB, change ...func(*server.Options)) *Server {
	t.Helper()
	s := &Server{options: server.Options{
		ServerName: "queuetest", Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	}}
	for _, f := range change {
		f(&s.options)
	}
	s.start(t)
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	o := s.options.Clone()
	running, err := server.NewServer(o)
	if err != nil {
		t.Fatalf("starting a NATS server for the test: %v", err)
	}
	running.Start()
	if !running.ReadyForConnections(startTime) {
		t.Fatalf("the NATS server for the test is not up after %s", startTime)
	}
	s.running = running
	s.options.Port = running.Addr().(*net.TCPAddr).Port // a restart listens there again
}

// URL is where the server listens, the same after a restart.
func (s *Server) URL() string { return s.running.ClientURL() }

// Server is the running server.
func (s *Server) Server() *server.Server { return s.running }

// Stop stops the server; what it stored stays until the test ends.
func (s *Server) Stop() {
	s.running.Shutdown()
	s.running.WaitForShutdown()
}

// Restart stops the server and starts it again on the same folder and port. Memory streams
// are gone afterwards, as with a real one.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	s.start(t)
}

// Change alters the options of the next start.
func (s *Server) Change(f func(*server.Options)) { f(&s.options) }

// Resume starts a stopped server again on the same folder and port.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.start(t)
}

// Client connects to the server and declares streams and buckets. It is closed with the test.
func (s *Server) Client(t testing.TB, change ...func(*queue.Options)) *queue.Client {
	t.Helper()
	c := s.Connect(t, change...)
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	if err := c.Declare(ctx, queue.Layout{}); err != nil {
		t.Fatalf("declaring streams on the test's NATS server: %v", err)
	}
	return c
}

// Connect connects to the server and declares nothing. It is closed with the test.
func (s *Server) Connect(t testing.TB, change ...func(*queue.Options)) *queue.Client {
	t.Helper()
	o := queue.Options{URL: s.URL(), Name: t.Name(), Source: "/fenceline/test"}
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	c, err := queue.Connect(ctx, o)
	if err != nil {
		t.Fatalf("connecting to the test's NATS server: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}
