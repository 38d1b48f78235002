package enginetest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

func image(c string) messages.Image {
	return messages.Image("registry.example/base@sha256:" + strings.Repeat(c, 64))
}

// opened is content that can be read and says nothing.
type opened struct{}

func (opened) Manifest(ctx context.Context, _ string) ([]byte, error) { return nil, context.Cause(ctx) }
func (opened) Blob(context.Context, string, int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("")), nil
}
func (opened) End(context.Context, string, int64, int) ([]byte, error) {
	return nil, errors.ErrUnsupported
}
func (opened) From() string { return "nowhere" }

func TestFakeConforms(t *testing.T) {
	enginetest.Run(t, func(*testing.T) enginetest.Fixture {
		base := map[string]int64{"base": 1000}
		one := func(name string, h enginetest.FakeHook) enginetest.FakeImage {
			return enginetest.FakeImage{Layers: base, Shell: true, Hooks: map[string]enginetest.FakeHook{name: h}}
		}
		good := enginetest.FakeImage{Layers: base, Shell: true, Hooks: map[string]enginetest.FakeHook{
			"pre-staging": {Output: "pre-staging 1"}, "pre-running": {Output: "pre-running 1"},
		}}
		next := good
		next.Layers = map[string]int64{"base": 1000, "small": 10}
		return enginetest.Fixture{
			Fleet: "test", Content: func(messages.Image) distributor.Content { return opened{} },
			Engine: &enginetest.Fake{
				Free: -1, Tells: true,
				Registry: map[messages.Image]enginetest.FakeImage{
					image("1"): good, image("2"): next,
					image("3"): one("pre-running", enginetest.FakeHook{Exit: 3, Output: enginetest.Lines(11, 30)}),
					image("4"): one("pre-running", enginetest.FakeHook{Hang: true, Output: "waiting"}),
					image("5"): one("pre-running", enginetest.FakeHook{Output: "bare"}),
					image("6"): {Layers: base, Shell: true},
					image("7"): {Layers: base},
				},
				Gone: map[messages.Image]bool{image("9"): true},
			},
			Good: image("1"), Next: image("2"), Failing: image("3"), Hanging: image("4"), Bare: image("5"),
			Plain: image("6"), NoShell: image("7"), Missing: image("8"), Unreachable: image("9"),
		}
	})
}
