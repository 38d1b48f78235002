package builds_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// of asks for the n-th commit as the head of a branch or tag, of a pipeline that builds several.
func of(ref string, n int) *messages.BuildRequested {
	r := request("base", n)
	r.Ref, r.Pipeline.Branches, r.Pipeline.Tags = "", []string{"**"}, []string{"v*"}
	r.SetRef(ref)
	return r
}

const (
	mainRef    = "refs/heads/main"
	releaseRef = "refs/heads/release/1"
	tagRef     = "refs/tags/v1"
)

// TestAPushToldTwiceIsOneBuildWhateverOtherBranchesWerePushedBetween tells of pushes to several branches, some of them
// again, with builds that wait, run or are over.
func TestAPushToldTwiceIsOneBuildWhateverOtherBranchesWerePushedBetween(t *testing.T) {
	type told struct {
		ref string
		n   int
	}
	for name, test := range map[string]struct {
		pushes []told
		again  []int // of the pushes, those that are asked for anew
	}{
		"of another branch between":        {[]told{{mainRef, 1}, {releaseRef, 2}, {mainRef, 1}}, []int{0, 1}},
		"of a tag between":                 {[]told{{mainRef, 1}, {tagRef, 1}, {mainRef, 1}, {tagRef, 1}}, []int{0, 1}},
		"the same commit of two branches":  {[]told{{mainRef, 1}, {releaseRef, 1}}, []int{0, 1}},
		"a branch that came back":          {[]told{{mainRef, 1}, {releaseRef, 2}, {mainRef, 3}, {releaseRef, 4}, {mainRef, 1}}, []int{0, 1, 2, 3, 4}},
		"a tag that moved":                 {[]told{{tagRef, 1}, {mainRef, 2}, {tagRef, 2}}, []int{0, 1, 2}},
		"one branch twice after the other": {[]told{{mainRef, 1}, {releaseRef, 2}, {releaseRef, 2}, {mainRef, 1}, {mainRef, 1}}, []int{0, 1}},
	} {
		for _, over := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, over %v", name, over), func(t *testing.T) {
				c := queuetest.Start(t).Client(t)
				q := builds.New(c)
				var anew []int
				first := map[told]string{}
				for i, p := range test.pushes {
					r := of(p.ref, p.n)
					a, err := q.Request(within(t), r, "")
					must(t, err)
					if a.Duplicate {
						if a.Build != first[p] {
							t.Errorf("push %d is taken for build %s, want %s", i, a.Build, first[p])
						}
						continue
					}
					anew, first[p] = append(anew, i), a.Build
					if over {
						_, err := store.Builds(c).Create(within(t), r.Build, messages.BuildRecord{
							BuildRef: messages.BuildRef{Build: r.Build, Pipeline: "base", Order: a.Order}, State: messages.BuildStateSucceeded,
							Commit: r.Commit, Ref: r.FullRef(), Cause: r.Cause,
						})
						must(t, err)
					}
				}
				if !slices.Equal(anew, test.again) {
					t.Errorf("asked for are %v, want %v", anew, test.again)
				}
			})
		}
	}
}

// TestManyBranchesPushedAtOnceAreEachBuiltOnce tells of them as fast as they are taken, all of them twice.
func TestManyBranchesPushedAtOnceAreEachBuiltOnce(t *testing.T) {
	s := queuetest.Start(t)
	q := builds.New(s.Client(t))
	var mu sync.Mutex
	built := map[string]int{}
	var all sync.WaitGroup
	for i := range 120 {
		ref := fmt.Sprintf("refs/heads/b%d", i%60)
		all.Go(func() {
			a, err := q.Request(within(t), of(ref, 1), "")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			} else if !a.Duplicate {
				built[ref]++
			}
		})
	}
	all.Wait()
	if len(built) != 60 {
		t.Errorf("%d branches are built", len(built))
	}
	for ref, n := range built {
		if n != 1 {
			t.Errorf("%s is built %d times", ref, n)
		}
	}
}

// TestTheHeadThatSupersededIsBuiltOfItsOwnBranch has another branch at the very commit that superseded a build.
func TestTheHeadThatSupersededIsBuiltOfItsOwnBranch(t *testing.T) {
	for _, ref := range []string{mainRef, tagRef} {
		t.Run(ref, func(t *testing.T) {
			c := queuetest.Start(t).Client(t)
			consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
				if j.Request.Commit == commit(1) {
					return &messages.BuildSuperseded{Commit: commit(1), Head: commit(2)}, nil
				}
				return succeed(ctx, j)
			}))
			first := submit(t, c, of(ref, 1))
			other := submit(t, c, of(releaseRef, 2))
			ended(t, c, first.Build)
			ended(t, c, other.Build)
			settled(t, c)
			if report := sweep(t, queueOf(c)); report.Followed != 1 {
				t.Fatalf("the sweep did %+v", report)
			}
			e, err := store.Builds(c).Get(within(t), first.Build)
			must(t, err)
			r := ended(t, c, e.Value.FollowedBy)
			if r.Ref != ref || r.Commit != commit(2) || r.State != messages.BuildStateSucceeded || r.Build == other.Build {
				t.Errorf("the head's build is %+v", r)
			}
			if again := submit(t, c, of(ref, 2)); !again.Duplicate || again.Build != r.Build {
				t.Errorf("its hook, which comes late, is %+v", again)
			}
		})
	}
}

// TestAPushToAnotherBranchIsNoLaterOne asks a build for a later push of its own branch, with others in between and after.
func TestAPushToAnotherBranchIsNoLaterOne(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	ask, answers := make(chan struct{}), make(chan string, 1)
	consume(t, c, work(func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
		for range ask {
			later, err := j.Later(ctx)
			if err != nil {
				t.Error(err)
			}
			answers <- later
		}
		return succeed(ctx, j)
	}))
	defer close(ask)
	submit(t, c, of(mainRef, 1))
	for _, step := range []struct {
		ref  string
		n    int
		want string
	}{{releaseRef, 2, ""}, {tagRef, 2, ""}, {mainRef, 3, commit(3)}, {releaseRef, 4, commit(3)}} {
		submit(t, c, of(step.ref, step.n))
		ask <- struct{}{}
		if got := <-answers; got != step.want {
			t.Errorf("after a push to %s, %q came later, want %q", step.ref, got, step.want)
		}
	}
}
