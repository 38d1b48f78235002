package docker

import (
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
)

func TestWhoseTimeIsUpIsAnybodysToRemove(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	labelled := func(at time.Time) *container.Summary {
		return &container.Summary{Created: now.Unix(), Labels: map[string]string{labelDeadline: at.Format(time.RFC3339)}}
	}
	for name, c := range map[string]struct {
		container *container.Summary
		want      bool
	}{
		"within its time":            {labelled(now.Add(time.Minute)), false},
		"its agent may be at it":     {labelled(now.Add(-time.Second)), false},
		"long up":                    {labelled(now.Add(-time.Minute)), true},
		"without a deadline, young":  {&container.Summary{Created: now.Add(-time.Hour).Unix()}, false},
		"without a deadline, a week": {&container.Summary{Created: now.Add(-7 * 24 * time.Hour).Unix()}, true},
	} {
		if got := isOverdue(c.container, now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
