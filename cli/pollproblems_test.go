package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestStatusShowsRepositoriesThatAreNotPolled has what producers write down of many.
func TestStatusShowsRepositoriesThatAreNotPolled(t *testing.T) {
	c := installation(t)
	for i := range 8 {
		p := messages.RepositoryPoll{Repository: fmt.Sprintf("https://git.example.com/%d.git", i), Branches: true}
		if i > 0 {
			p.Trouble("no such repository\x1b[31m", time.Unix(int64(1e9+i), 0))
		}
		_, err := store.Polls(c).Create(t.Context(), messages.PollKey(p.Repository, ""), p)
		queuetest.Must(t, err)
	}
	out := done(t, "status")
	for _, want := range []string{"problem: pushes to https://git.example.com/1.git that no webhook tells of are not found since ", "no such repository", "and 2 more"} {
		if !strings.Contains(out, want) || strings.Contains(out, "\x1b") || strings.Contains(out, "/0.git") {
			t.Errorf("it says not %q:\n%s", want, out)
		}
	}
	if s := decoded[statusReport](t, "status"); len(s.PollProblems) != 7 || s.PollProblems[0].Repository != "https://git.example.com/1.git" {
		t.Errorf("it is %+v", s.PollProblems)
	}
	queuetest.Must(t, queuetest.JetStream(t, c).DeleteKeyValue(t.Context(), c.Space().TriggersBucket())) // as before polls were shared
	if out := done(t, "status"); strings.Contains(out, "no webhook tells") {
		t.Errorf("it says\n%s", out)
	}
}
