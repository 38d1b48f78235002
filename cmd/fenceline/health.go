package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
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

// serveHealth answers /healthz and /readyz until ctx ends.
func serveHealth(ctx context.Context, l net.Listener, r role) error {
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", readyz([]role{r}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"ok":true}`) })
	s := &http.Server{Handler: mux, ReadHeaderTimeout: readyTime, ReadTimeout: readyTime, WriteTimeout: 2 * readyTime}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("serving health: %w", err)
	}
	return nil
}
