package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages/queue"
)

// TestWhatIsDoneIsNotToldAsRefused though something that follows from it failed.
func TestWhatIsDoneIsNotToldAsRefused(t *testing.T) {
	for err, want := range map[error]bool{
		fmt.Errorf("build x: %w: %w", builds.ErrUnannounced, queue.ErrUnavailable):      true,
		fmt.Errorf("%w, but the letter stays: %w", builds.ErrRequeued, errors.New("x")): true,
		fmt.Errorf("%w, but: %w", people.ErrDecided, queue.ErrUnavailable):              true,
		errNotApplied:        true,
		builds.ErrOver:       false,
		queue.ErrUnavailable: false,
	} {
		if stands(err) != want {
			t.Errorf("%v stands: %t", err, !want)
		}
	}
}
