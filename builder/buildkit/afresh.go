package buildkit

import (
	"context"
	"fmt"
	"strconv"

	"github.com/moby/buildkit/client"
)

// afresh does attempt, and does it once more where it failed for a submodule of which buildkitd may
// have kept an earlier address.
//
// BuildKit's git source has one bare clone for each repository and keeps its submodules in that. git
// notes a submodule's address there when it first sees it, and passes over what .gitmodules says
// later. So the clone is dropped, which the second attempt makes anew.
func (r *run) afresh(ctx context.Context, attempt func() error) error {
	err := attempt()
	if err == nil || lostConnection(err) {
		return err
	}
	g, ok := readGit(r.text(err))
	if !ok || g.place != atSubmodules || g.fresh || g.remote == "" {
		return err
	}
	dropped, dropErr := r.dropClone(ctx, g.remote)
	switch {
	case dropErr != nil:
		r.remark(fmt.Sprintf("A submodule of %s failed, and buildkitd's clone can't be dropped to fetch it afresh: %s", g.remote, r.clean(dropErr)))
		return err
	case !dropped:
		return err
	}
	r.remark(fmt.Sprintf("A submodule of %s failed: it is fetched afresh, as its address may have changed.", g.remote))
	return attempt()
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
