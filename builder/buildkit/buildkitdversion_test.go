package buildkit_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builder/buildkit"
	controlapi "github.com/moby/buildkit/api/services/control"
	types "github.com/moby/buildkit/api/types"
	"google.golang.org/grpc"
)

// versioned is a buildkitd of which only its version is known.
type versioned struct {
	controlapi.UnimplementedControlServer
	version *types.BuildkitVersion
}

func (v *versioned) ListWorkers(context.Context, *controlapi.ListWorkersRequest) (*controlapi.ListWorkersResponse, error) {
	return &controlapi.ListWorkersResponse{Record: []*types.WorkerRecord{{ID: "one", BuildkitVersion: v.version}}}, nil
}

// serve serves it and returns its address.
func (v *versioned) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	controlapi.RegisterControlServer(s, v)
	go func() { _ = s.Serve(l) }() // it ends with Stop
	t.Cleanup(s.Stop)
	return "tcp://" + l.Addr().String()
}

// TestVersions has each kind of version that a buildkitd can tell. The real one of the other
// tests, which tells none, is taken too.
func TestVersions(t *testing.T) {
	told := func(v string) *types.BuildkitVersion {
		return &types.BuildkitVersion{Package: "github.com/moby/buildkit", Version: v}
	}
	for what, test := range map[string]struct {
		version *types.BuildkitVersion
		refused string
	}{
		"the oldest that will do":       {told("v0.26.0"), ""},
		"a release candidate of it":     {told("v0.26.0-rc1"), ""},
		"a newer one":                   {told("v0.34.2"), ""},
		"one of the far future":         {told("v1.0.0"), ""},
		"the last that is too old":      {told("v0.25.2"), "version v0.25.2 is too old"},
		"one of long ago":               {told("v0.9.3"), "version v0.9.3 is too old"},
		"written without a v":           {told("0.12.5"), "version 0.12.5 is too old"},
		"built without a version":       {told("v0.0.0+unknown"), ""},
		"a version that is no release":  {told("9f3a1c0.m"), ""},
		"none at all, of before it was": {nil, "does not tell its version"},
	} {
		t.Run(what, func(t *testing.T) {
			address := (&versioned{version: test.version}).serve(t)
			err := newSolver(t, buildkit.Config{Address: address}).Ready(t.Context())
			if test.refused == "" {
				if err != nil {
					t.Errorf("it is refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("it is taken")
			}
			for _, say := range []string{address, test.refused, "0.26 or later"} {
				if !strings.Contains(err.Error(), say) {
					t.Errorf("it does not say %q: %v", say, err)
				}
			}
		})
	}
}
