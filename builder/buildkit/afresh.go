package buildkit

import (
	"context"
	"fmt"
	"strconv"

	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/client"
)

// afresh does attempt, and does it once more where it failed for a submodule of which buildkitd may
// have kept an earlier address.
//
// BuildKit's git source has one bare clone for each repository and keeps its submodules in that. git
// notes a submodule's address there when it first sees it, and passes over what .gitmodules says
// later. So the clone is dropped, which the second attempt makes anew. One that isn't dropped is in use, or was
// dropped for another build a moment ago. An address that the second attempt did not read from .gitmodules is an
// earlier one all the same: of a build that shares its work.
func (r *run) afresh(ctx context.Context, attempt func() error) error {
	err := attempt()
	g, ok := r.kept(err)
	if !ok {
		return err
	}
	dropped, dropErr := r.dropClone(ctx, g.remote)
	if dropErr != nil {
		r.remark(fmt.Sprintf("A submodule of %s failed, and buildkitd's clone can't be dropped to fetch it afresh: %s", g.remote, r.clean(dropErr)))
		return err
	}
	r.remark(fmt.Sprintf("A submodule of %s failed: it is fetched afresh, as its address may have changed.", g.remote))
	err = attempt()
	if g, ok = r.kept(err); !ok || dropped && g.url == "" {
		return err
	}
	return failed(messages.Failure{
		Class:  messages.FailureInfrastructure,
		Reason: fmt.Sprintf("a submodule of %s failed, perhaps at an earlier address, as other builds use buildkitd's clone: %s", g.remote, messages.ShortenMiddle(g.Said, 600)),
		Fix:    "check the submodule's address in .gitmodules if this goes on",
	})
}

// kept tells whether an attempt failed for a submodule whose address may be the one that buildkitd's clone has
// kept.
func (r *run) kept(err error) (gitFailure, bool) {
	if err == nil || lostConnection(err) {
		return gitFailure{}, false
	}
	g, ok := readGit(r.text(err))
	return g, ok && g.place == atSubmodules && !g.fresh && g.remote != ""
}

// dropClone drops buildkitd's clone of a repository, and tells whether there was one that nobody
// uses at this moment.
func (r *run) dropClone(ctx context.Context, remote string) (bool, error) {
	// As BuildKit's git source describes the record. What is hidden in our texts may not be there.
	filter := client.WithFilter([]string{"mutable,description==" + strconv.Quote("shared git repo for "+remote)})
	gone := make(chan client.UsageInfo)
	counted := make(chan int)
	go func() {
		n := 0
		for range gone {
			n++
		}
		counted <- n
	}()
	err := r.solver.client.Prune(ctx, gone, filter)
	close(gone)
	return <-counted > 0, err
}
