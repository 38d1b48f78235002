package builder

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builder/packages"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
)

// TestWhatHasChanged has requests that are built only if something has changed, each after another last image.
func TestWhatHasChanged(t *testing.T) {
	base := messages.PinnedBase{Source: "docker.io/library/debian:12", Image: image}
	pinned := messages.PinnedBase{Source: "registry.example.com/tool", Image: image, Fixed: true}
	otherImage := messages.Image(image.Name() + "@sha256:" + strings.Repeat("1", 64))
	update := packages.Update{Name: "openssl", Old: "3.0.1", New: "3.0.2"}
	same := func() *builds.LastImage {
		p := request().Pipeline
		return &builds.LastImage{Build: "p-last", Image: image, Commit: commit, Bases: []messages.PinnedBase{base, pinned}, Pipeline: &p}
	}
	last := func(change func(*builds.LastImage)) *builds.LastImage {
		l := same()
		change(l)
		return l
	}
	apt := func(u ...packages.Update) func(messages.Image) (Updates, error) {
		return func(i messages.Image) (Updates, error) {
			if i != image {
				return Updates{}, errors.New("another image is asked")
			}
			return Updates{Manager: "apt", List: u}, nil
		}
	}
	for name, test := range map[string]struct {
		last      *builds.LastImage
		lastErr   error
		updates   func(messages.Image) (Updates, error) // nil where it may not be asked
		anyway    bool
		built     string // for which it is built; "" where it is not
		unchanged string
	}{
		"nothing": {last: same(), updates: apt(), unchanged: "nothing has changed since p-last: commit, bases and packages (apt) are the same"},
		"nothing, without packages": {last: same(), updates: func(messages.Image) (Updates, error) { return Updates{}, nil },
			unchanged: "commit and bases are the same; the image has no package manager"},
		"packages": {last: same(), updates: apt(update), built: "1 package has an update: openssl 3.0.1 -> 3.0.2"},
		"packages that the last build did not take": {last: last(func(l *builds.LastImage) { l.Updates = packages.Digest([]packages.Update{update}) }), updates: apt(update),
			unchanged: "its build did not take the updates that there are: 1 package has an update: openssl 3.0.1 -> 3.0.2"},
		"more packages than the last build did not take": {last: last(func(l *builds.LastImage) { l.Updates = packages.Digest([]packages.Update{update}) }),
			updates: apt(update, packages.Update{Name: "zlib", New: "2"}), built: "2 packages have updates: openssl 3.0.1 -> 3.0.2, zlib 2"},
		"packages can't be known": {last: same(), updates: func(messages.Image) (Updates, error) { return Updates{}, errors.New("apt: no net") }, built: "whether packages have updates can't be known: apt: no net"},
		"a base":                  {last: last(func(l *builds.LastImage) { l.Bases[0].Image = otherImage }), built: "base debian:12 is another digest"},
		"a base more":             {last: last(func(l *builds.LastImage) { l.Bases = l.Bases[1:] }), built: "base debian:12 was not built on before"},
		"a base less": {last: last(func(l *builds.LastImage) {
			l.Bases = append(l.Bases, messages.PinnedBase{Source: "docker.io/x/y:1", Image: image})
		}), built: "base x/y:1 is not built on any more"},
		"another commit": {last: last(func(l *builds.LastImage) { l.Commit = other }), built: "the last image, of p-last, is of another commit"},
		"the pipeline": {last: last(func(l *builds.LastImage) {
			l.Pipeline.BuildArgs, l.Pipeline.Dockerfile = map[string]string{"A": "1"}, "D"
		}), built: "the pipeline says otherwise: dockerfile, build_args"},
		"a later build":    {last: last(func(l *builds.LastImage) { l.After = "the last build, p-x, failed" }), built: "the last build, p-x, failed"},
		"no image":         {last: new(builds.LastImage), built: "no image of the branch is known"},
		"no request":       {last: last(func(l *builds.LastImage) { l.Pipeline = nil }), built: "how the last image was built is not kept"},
		"can't be known":   {lastErr: errors.New("NATS is away"), built: "what changed can't be known: NATS is away"},
		"a person's words": {last: same(), anyway: true, built: "a person asked for it"},
	} {
		t.Run(name, func(t *testing.T) {
			past, out := &history{last: test.last, lastErr: test.lastErr}, new(record)
			s := building(nil)
			solve := s.solve
			s.solve = func(ctx context.Context, b Build) (Solved, error) {
				if err := b.Resolved(ctx, []messages.PinnedBase{base, pinned}); err != nil {
					return Solved{}, err
				}
				return solve(ctx, b)
			}
			if s.updates = test.updates; s.updates == nil {
				s.updates = func(messages.Image) (Updates, error) {
					t.Error("the image is asked")
					return Updates{}, nil
				}
			}
			r := request()
			r.OnlyIf, r.Reason = messages.OnlyIfChanged, &messages.Reason{Kind: messages.ReasonSchedule, Detail: "@daily UTC"}
			end, err := newBuilder(t, s).build(t.Context(), task{request: r, attempt: 1, anyway: test.anyway, branch: past, out: out})
			if err != nil {
				t.Fatal(err)
			}
			switch end := end.(type) {
			case *messages.ImageReady:
				if test.built == "" || !strings.Contains(end.Reason.Changed, test.built) || past.changed != end.Reason.Changed || end.Reason.Detail != "@daily UTC" || r.Reason.Changed != "" {
					t.Errorf("built as %+v, noted %q; want %q", end.Reason, past.changed, test.built+test.unchanged)
				}
			case *messages.BuildCancelled:
				if test.unchanged == "" || !strings.Contains(end.Unchanged, test.unchanged) || past.changed != "" || len(out.events) > 0 {
					t.Errorf("not built: %q, with %v; want %q", end.Unchanged, out.events, test.built+test.unchanged)
				}
			default:
				t.Errorf("ended as %+v", end)
			}
		})
	}
}

// TestNothingIsComparedUnlessAsked has builders build what no condition is known of.
func TestNothingIsComparedUnlessAsked(t *testing.T) {
	for _, onlyIf := range []string{"", "the moon is full"} {
		s := building(nil)
		solve := s.solve
		s.solve = func(ctx context.Context, b Build) (Solved, error) {
			if err := b.Resolved(ctx, nil); err != nil {
				return Solved{}, err
			}
			return solve(ctx, b)
		}
		r := request()
		r.OnlyIf = onlyIf
		end, err := newBuilder(t, s).build(t.Context(), task{request: r, attempt: 1, branch: &history{lastErr: errors.New("it is asked")}, out: new(record)})
		if ready, ok := end.(*messages.ImageReady); err != nil || !ok || ready.Reason != nil {
			t.Errorf("%q: ended as %+v, %v", onlyIf, end, err)
		}
	}
}
