package people

import (
	"errors"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestARetirementThatIsHalfDoneIsNotDenied: the node is no member any more, though rollouts can't be told.
func TestARetirementThatIsHalfDoneIsNotDenied(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	ctx := queuetest.Within(t)
	key := messages.NodeKey("production", "n1")
	_, err := store.Members(c).Create(ctx, key, messages.Member{Fleet: "production", Node: "n1", Joined: time.Now()})
	queuetest.Must(t, err)
	queuetest.Must(t, queuetest.JetStream(t, c).DeleteStream(ctx, "KV_"+c.Space().RolloutsBucket()))
	if err := RetireNode(ctx, c, "production", "n1"); !errors.Is(err, ErrDecided) {
		t.Errorf("it says %v", err)
	}
	if _, err := store.Members(c).Current(ctx, key); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("the member's record: %v", err)
	}
	if err := RetireNode(ctx, c, "production", "n1"); err == nil || errors.Is(err, ErrDecided) {
		t.Errorf("once more it says %v", err)
	}
}
