package builder

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

func TestTag(t *testing.T) {
	var tagged string
	b := newBuilder(t, &solver{tag: func(_ context.Context, i messages.Image, tag string) error { tagged = i.Name() + ":" + tag; return nil }})
	if err := b.tag(t.Context(), messages.BuildRecord{}); err != nil || tagged != "" {
		t.Errorf("tagged %q, %v", tagged, err)
	}
	if err := b.tag(t.Context(), messages.BuildRecord{Image: image, Tag: "x"}); err != nil || tagged != image.Name()+":x" {
		t.Errorf("tagged %q, %v", tagged, err)
	}
}

// TestTheMovingTagNamesTheNewestImage has images come in and out of the order of their requests.
func TestTheMovingTagNamesTheNewestImage(t *testing.T) {
	for _, newer := range []bool{false, true} {
		var tagged []string
		b := newBuilder(t, &solver{tag: func(_ context.Context, _ messages.Image, tag string) error { tagged = append(tagged, tag); return nil }})
		b.config.Queue.(*source).newer = newer
		m, err := messages.Encode(messages.Envelope{ID: "1", Source: "/t", Time: time.Unix(1, 0).UTC()}, &messages.ImageReady{
			BuildRef: messages.BuildRef{Build: "base-1", Pipeline: "base", Order: 1}, Image: image, Tag: "x", MovingTag: "latest",
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.tag(t.Context(), messages.BuildRecord{Image: image, Tag: "x", Outcome: &m}); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{false: "x latest", true: "x"}[newer]; strings.Join(tagged, " ") != want {
			t.Errorf("with a newer image %v it is tagged %q; want %q", newer, tagged, want)
		}
	}
}

func TestATagThatHangsIsGivenUp(t *testing.T) {
	hangs := &solver{tag: func(ctx context.Context, _ messages.Image, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	r := messages.BuildRecord{Image: image, Tag: "x"}
	t.Run("for good once its time is over", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			err := newBuilder(t, hangs).tag(t.Context(), r)
			if !queue.IsPermanent(err) || !strings.Contains(err.Error(), "did not answer") {
				t.Errorf("error %v", err)
			}
			if took := time.Since(begin); took > tagTimeout {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("for another builder when the build is taken away", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := newBuilder(t, hangs).tag(ctx, r); err == nil || queue.IsPermanent(err) {
			t.Errorf("error %v", err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{{}, {Queue: &source{}}, {Queue: &source{}, Solver: &solver{}}, {Queue: &source{}, Solver: &solver{}, Name: "b", Slots: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
