package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/standalone"
)

// readyTime bounds the answer to the question whether everything is ready.
const readyTime = 5 * time.Second

// serveReady makes the producer's /readyz speak for all roles of this process.
func (r *httpRole) serveReady(all []role) {
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", readyz(all))
	mux.Handle("/", r.server.Handler)
	r.server.Handler = mux
}

// readyz answers 200 when every role can do its work, else 503 and what is wrong.
func readyz(all []role) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), readyTime)
		defer cancel()
		var errs []error
		for _, role := range all {
			errs = append(errs, role.Ready(ctx))
		}
		w.Header().Set("Content-Type", "application/json")
		answer := map[string]any{"ok": true}
		if err := errors.Join(errs...); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			answer = map[string]any{"ok": false, "problem": err.Error()}
		}
		_ = json.NewEncoder(w).Encode(answer) // a caller that is gone needs no answer
	})
}

// monitor is what answers about the health of a process, and its metrics. Where it listens nowhere there are none.
type monitor struct {
	address  string // "" for nowhere
	registry *metrics.Registry
	nats     map[string]*metrics.NATS // by role
	roles    []role
	listener net.Listener
}

// newMonitor makes the one of a process that runs some roles.
func newMonitor(address string, roles ...string) *monitor {
	m := &monitor{address: address}
	if m.listens() {
		m.registry = metrics.New(cli.Version())
	}
	m.nats = m.registry.NATS(roles...)
	return m
}

func (m *monitor) listens() bool { return m.address != "" }

// observer is told of the requests of a role's connection; nil where nobody asks.
func (m *monitor) observer(name string) queue.Observer {
	if n := m.nats[name]; n != nil {
		return n
	}
	return nil
}

// add has it answer for a role as well.
func (m *monitor) add(name string, q *queue.Client, r role) {
	m.roles = append(m.roles, r)
	if m.registry == nil {
		return
	}
	m.registry.Connection(name, q)
	m.registry.Ready(name, r.Ready)
	switch r := r.(type) {
	case *httpRole:
		m.registry.Certificate(name, "webhooks", r.certificateEnd)
	case *consoleRole:
		m.registry.Certificate(name, "console", r.certificateEnd)
	}
}

// listen begins to listen.
func (m *monitor) listen() (err error) {
	m.listener, err = standalone.Listen(standalone.ServiceHealth, m.address)
	return err
}

// serve answers /healthz, /readyz and /metrics until ctx ends.
func (m *monitor) serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", readyz(m.roles))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"ok":true}`) })
	mux.Handle("GET /metrics", m.registry.Handler())
	s := &http.Server{Handler: mux, ReadHeaderTimeout: readyTime, ReadTimeout: readyTime, WriteTimeout: 2 * readyTime}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(m.listener); ctx.Err() == nil {
		return fmt.Errorf("serving health: %w", err)
	}
	return nil
}
