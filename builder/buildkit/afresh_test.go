package buildkit

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/messages"
	control "github.com/moby/buildkit/api/services/control"
	"google.golang.org/grpc"
)

// pruning is a buildkitd that has a clone to drop, or an error, or neither.
type pruning struct {
	control.UnimplementedControlServer
	clone bool
	err   error
}

func (p pruning) Prune(_ *control.PruneRequest, s grpc.ServerStreamingServer[control.UsageRecord]) error {
	if p.clone {
		return s.Send(&control.UsageRecord{ID: "clone"})
	}
	return p.err
}

// TestASubmoduleIsFetchedAfresh: what fails at a kept address is nobody's fault that is known, unless it was the
// clone's own.
func TestASubmoduleIsFetchedAfresh(t *testing.T) {
	kept := errors.New("failed to update submodules for http://h/r.git: git stderr:\nfatal: unable to access 'http://old/s.git/': The requested URL returned error: 404\n" +
		"Failed to clone 'shared' a second time, aborting\n: exit status 1")
	other := errors.New("something else")
	for name, c := range map[string]struct {
		daemon   pruning
		attempts []error
		want     error // nil: a failure of the infrastructure
	}{
		"a clone that is dropped":                  {pruning{clone: true}, []error{kept, other}, other},
		"a clone that is dropped, in vain":         {pruning{clone: true}, []error{kept, kept}, kept},
		"one that another build uses or dropped":   {pruning{}, []error{kept, other}, other},
		"one that another build uses, and goes on": {pruning{}, []error{kept, kept}, nil},
		"one that can't be dropped":                {pruning{err: errors.New("no")}, []error{kept}, kept},
		"another failure":                          {pruning{}, []error{other}, other},
	} {
		t.Run(name, func(t *testing.T) {
			r := &run{solver: serving(t, c.daemon), progress: newProgress(func(messages.BuildLog) {}, newHider(messages.Secret{}, nil))}
			n := 0
			err := r.afresh(t.Context(), func() error { n++; return c.attempts[n-1] })
			var f *builder.FailedError
			switch {
			case n != len(c.attempts):
				t.Errorf("%d attempts", n)
			case c.want != nil && !errors.Is(err, c.want):
				t.Errorf("error %v, want %v", err, c.want)
			case c.want == nil && (!errors.As(r.explain(t.Context(), err, false), &f) || f.Class != messages.FailureInfrastructure || f.Fix == ""):
				t.Errorf("error %v", err)
			}
		})
	}
}

// serving is a solver whose buildkitd is a control server alone.
func serving(t *testing.T, c control.ControlServer) *Solver {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	control.RegisterControlServer(server, c)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	s, err := New(Config{Address: "unix://" + socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
