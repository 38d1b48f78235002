package natskv_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/fencetest"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestConformance(t *testing.T) {
	fencetest.Run(t, func(t *testing.T) fencetest.Store {
		s := queuetest.Start(t)
		near := s.Client(t)
		p := s.Proxy(t)
		c := s.Connect(t, queuetest.Through(p))
		return fencetest.Store{
			Open:     func() fence.Backend { return natskv.New(c, "default") },
			Stranger: func(value string) { strange(t, near, value) },
			Away: func() func() {
				s.Stop()
				return func() {
					s.Resume(t)
					queuetest.Back(t, c)
				}
			},
			Stall: func() func() {
				p.Hold()
				return p.Release
			},
			LoseAnswer: func() func() {
				looks := p.Sent("$JS.API.STREAM.MSG.GET.KV_fenceline-fence")
				p.HoldAnswers()
				go func() {
					select {
					case <-looks: // the answer was given up, and the look has begun
					case <-t.Context().Done():
					}
					p.Release()
				}()
				return p.Release
			},
		}
	})
}

// strange writes to the bucket as the nats command does.
func strange(t *testing.T, c *queue.Client, value string) {
	t.Helper()
	bucket, err := queuetest.JetStream(t, c).KeyValue(t.Context(), "fenceline-fence")
	queuetest.Must(t, err)
	if value == "" {
		queuetest.Must(t, bucket.Delete(t.Context(), "default.docker/image"))
		return
	}
	_, err = bucket.PutString(t.Context(), "default.docker/image", value)
	queuetest.Must(t, err)
}

func TestFleetsHaveSettingsOfTheirOwn(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	staging := natskv.New(c, "staging")
	production := natskv.New(c, "production")
	if _, err := staging.Set(t.Context(), "a@sha256:1", ""); err != nil {
		t.Fatal(err)
	}
	if s, err := production.Get(t.Context()); err != nil || s.Value != "" {
		t.Fatalf("production has %+v, error %v, after staging was set", s, err)
	}
}

func TestHistoryKeepsTheLast64(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	b := natskv.New(c, "default")
	var at fence.Revision
	for n := range 70 {
		s, err := b.Set(t.Context(), fmt.Sprint(n), at)
		if err != nil {
			t.Fatal(err)
		}
		at = s.Revision
	}
	past, err := b.History(t.Context())
	if err != nil || len(past) != 64 || past[0].Value != "6" || past[63].Value != "69" {
		t.Fatalf("the history has %d entries, error %v", len(past), err)
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	c := queuetest.Start(t).Connect(t)
	for _, tc := range []struct {
		name string
		err  func() error
		says string
	}{
		{"a bucket that was not declared", func() error {
			_, err := natskv.New(c, "default").Get(t.Context())
			return err
		}, "fenceline init"},
		{"a fleet name that is none", func() error {
			_, err := natskv.New(c, "a.b").Get(t.Context())
			return err
		}, "lower-case letters"},
		{"an empty value", func() error {
			_, err := natskv.New(c, "default").Set(t.Context(), "", "")
			return err
		}, "give an image"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.err(); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error %v does not say %q", err, tc.says)
			}
		})
	}
}

// TestALostAnswerIsReadBack: the value is there, so setting it has not failed.
func TestALostAnswerIsReadBack(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	near := s.Client(t)
	p := s.Proxy(t)
	far := s.Connect(t, queuetest.Through(p))
	looks := p.Sent("$JS.API.STREAM.MSG.GET.KV_fenceline-fence")
	p.HoldAnswers()
	type result struct {
		setting fence.Setting
		err     error
	}
	done := make(chan result, 1)
	go func() {
		set, err := natskv.New(far, "default").Set(t.Context(), "one", "")
		done <- result{set, err}
	}()
	select {
	case <-looks: // the answer was given up, and the look has begun
	case <-queuetest.Within(t).Done():
		t.Fatal("nobody looked whether the value is there")
	}
	p.Release()
	got := <-done
	is, err := natskv.New(near, "default").Get(t.Context())
	queuetest.Must(t, err)
	if got.err != nil || got.setting != is || is.Value != "one" {
		t.Errorf("setting it says %+v, %v; it is %+v", got.setting, got.err, is)
	}
}
