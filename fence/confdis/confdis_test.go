package confdis_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/confdis"
	"github.com/fenceline/fenceline/fence/confdis/redistest"
	"github.com/fenceline/fenceline/fence/fencetest"
)

// Two documents that name no image, and those that do: before and behind an image.
const (
	unset     = `{"docker":{"port":4243},"max":12345678901234567890}`
	before    = `{"docker":{"port":4243,"image":"`
	behind    = `"},"max":12345678901234567890}`
	listBegin = `{"docker":{"images":["`
	listEnd   = `","stackato/stack-alsek"]}}`
)

func open(t testing.TB, uri string) *confdis.Store {
	t.Helper()
	s, err := confdis.New(confdis.Config{RedisURI: uri})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestConformance(t *testing.T) {
	t.Run("a string", func(t *testing.T) { conforms(t, unset, before, behind) })
	t.Run("a list", func(t *testing.T) { conforms(t, `{"docker":{"images":[]}}`, listBegin, listEnd) })
}

func conforms(t *testing.T, unset, before, behind string) {
	fencetest.Run(t, func(t *testing.T) fencetest.Store {
		server := redistest.Start(t)
		proxy := server.Proxy(t)
		server.Put(t, "fence", unset)
		return fencetest.Store{
			Open: func() fence.Backend { return open(t, proxy.URI()) },
			Stranger: func(value string) {
				if value == "" {
					server.Put(t, "fence", unset)
					return
				}
				server.Put(t, "fence", before+value+behind)
			},
			Away: func() func() {
				must(t, server.Kill())
				return func() { must(t, server.Start()) }
			},
			Stall: func() func() {
				must(t, server.Signal(syscall.SIGSTOP))
				return func() { must(t, server.Signal(syscall.SIGCONT)) }
			},
			LoseAnswer: func() func() {
				proxy.LoseAnswer()
				return func() {}
			},
		}
	})
}
