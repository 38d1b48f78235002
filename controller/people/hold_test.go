package people

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestAHoldIsOfWhatWasSeen and has a reason that every node can be sent.
func TestAHoldIsOfWhatWasSeen(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	ctx := queuetest.Within(t)
	queuetest.FleetRecord(t, c, "production")
	if _, err := Hold(ctx, c, "production", strings.Repeat("x", MaxReason+1), "ada"); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d or fewer", MaxReason)) {
		t.Errorf("a long reason: %v", err)
	}
	for as, is := range map[bool]error{false: ErrChanged, true: nil} {
		_, err := Hold(OnlyAs(ctx, func(r *messages.FleetRecord) bool { return r.Fleet == "production" && as }), c, "production", "lunch", "ada")
		if !errors.Is(err, is) {
			t.Errorf("where the record is as it was seen (%t): %v", as, err)
		}
	}
	if e, err := store.Fleets(c).Current(ctx, "production"); err != nil || e.Value.Hold == nil {
		t.Errorf("the record is %+v, %v", e.Value, err)
	}
}
