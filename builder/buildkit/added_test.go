package buildkit_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
)

// TestWhatADockerfileMayNotReach has addresses of this machine, and redirects to where nothing may lead; the pipeline's own
// repository is on this machine as well, which the operator wrote.
func TestWhatADockerfileMayNotReach(t *testing.T) {
	b := newBench(t)
	strict := newSolver(t, buildkit.Config{Address: b.daemon.Address})
	elsewhere := gittest.Start(t)
	elsewhere.Repository(t, "other").Commit(t, "main", map[string]string{"x": "x"})
	var came atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came.Add(1) }))
	t.Cleanup(inside.Close)
	leads := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
	}))
	t.Cleanup(leads.Close)
	for name, c := range map[string]struct {
		solver *buildkit.Solver
		add    string
		words  []string
	}{
		"a download":                    {strict, inside.URL + "/x", []string{"127.0.0.1 is loopback", "allow-private-addresses"}},
		"a download in decimal":         {strict, "http://2130706433/x", []string{"is a number"}},
		"the metadata service":          {b.solver, "http://169.254.169.254/latest", []string{"link-local"}},
		"a redirect to it":              {b.solver, leads.URL + "/x", []string{"link-local"}},
		"a repository":                  {strict, elsewhere.URL + "/other.git#main", []string{"127.0.0.1 is loopback", "allow-private-addresses"}},
		"a repository that redirects":   {b.solver, leads.URL + "/other.git#main", []string{"redirects"}},
		"one of git's own protocol":     {strict, "git://127.0.0.1:1/other.git#main", []string{"127.0.0.1 is loopback"}},
		"one with its git folder":       {strict, "--keep-git-dir=true " + elsewhere.URL + "/other.git#main", []string{"127.0.0.1 is loopback"}},
		"one at an address of one link": {strict, "http://[fe80::1]/other.git#main", []string{"link-local"}},
	} {
		t.Run(name, func(t *testing.T) {
			with := *b
			with.solver = c.solver
			o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nADD " + c.add + " /x\n"})
			class := messages.FailureUser
			if name == "a repository that redirects" {
				class = messages.FailureInfrastructure // it may be for now
			}
			with.fails(t, o, class, "Dockerfile:2", c.words...)
		})
	}
	if came.Load() != 0 {
		t.Errorf("%d requests came to what may not be reached", came.Load())
	}
}
