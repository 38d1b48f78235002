package builder

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/builder/packages"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
)

// A request can ask for a build only if something has changed since the branch's last image. What it would be made from is known
// once its bases are resolved, before anything is built. Where anything can't be known it is built.

// unchangedError ends a build that would come to what there is.
type unchangedError struct{ why string }

func (e *unchangedError) Error() string { return e.why }

// changed is what a look has found.
type changed struct {
	why     string            // what has changed, or can't be known; "" for nothing
	same    string            // what has not
	updates []packages.Update // that the last image has, where it was asked
}

// resolved ends the build where it was to be built only if something had changed, and nothing has.
func (a *running) resolved(ctx context.Context, b Build, bases []messages.PinnedBase) error {
	if a.request.OnlyIf != messages.OnlyIfChanged || a.branch == nil {
		return nil
	}
	if err := a.wanted(ctx); err != nil {
		return err
	}
	found := a.lookForChange(ctx, b, bases)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if found.why == "" {
		return &unchangedError{found.same}
	}
	found.why = messages.Shorten(found.why, changedMost)
	a.out.Log(messages.BuildLog{Text: "it is built: " + found.why})
	a.mu.Lock()
	a.changed = found.why
	a.mu.Unlock()
	a.branch.Changed(found.why, packages.Digest(found.updates))
	return nil
}

// changedMost bounds, in bytes, what is said of a change.
const changedMost = 800

// lookForChange compares what would be built with the branch's last image: what costs least first.
func (a *running) lookForChange(ctx context.Context, b Build, bases []messages.PinnedBase) changed {
	if a.anyway {
		return changed{why: "a person asked for it"}
	}
	last, err := a.branch.LastImage(ctx)
	switch {
	case err != nil:
		return changed{why: "what changed can't be known: " + err.Error()}
	case last.Build == "":
		return changed{why: "no image of the branch is known"}
	case last.Commit != a.head.commit:
		return changed{why: "the last image, of " + last.Build + ", is of another commit"}
	case last.After != "":
		return changed{why: last.After}
	case last.Pipeline == nil:
		return changed{why: "what changed can't be known: how the last image was built is not kept"}
	}
	if fields := otherwise(&a.request.Pipeline, last.Pipeline); len(fields) > 0 {
		return changed{why: "the pipeline says otherwise: " + strings.Join(fields, ", ")}
	}
	if why := otherBases(last.Bases, bases); why != "" {
		return changed{why: why}
	}
	return a.askLastImage(ctx, b, last)
}

// askLastImage asks the last image for packages that have updates. Of one that has no package manager the rest decides.
func (a *running) askLastImage(ctx context.Context, b Build, last *builds.LastImage) changed {
	a.out.Log(messages.BuildLog{Text: "commit and bases are those of the last image, " + string(last.Image) + ": looking for updates of its packages"})
	updates, err := a.b.config.Solver.Updates(ctx, b, last.Image)
	since := "nothing has changed since " + last.Build + ": "
	switch {
	case err != nil:
		return changed{why: "whether packages have updates can't be known: " + err.Error()}
	case updates.Manager == "":
		return changed{same: since + "commit and bases are the same; the image has no package manager that could be asked for updates"}
	case len(updates.List) == 0:
		return changed{same: since + "commit, bases and packages (" + updates.Manager + ") are the same"}
	case packages.Digest(updates.List) == last.Updates:
		return changed{same: since + "commit and bases are the same; its build did not take the updates that there are: " + packages.Say(updates.List)}
	}
	return changed{why: packages.Say(updates.List), updates: updates.List}
}

// otherwise are the fields of a pipeline that say something else of how its image is built.
func otherwise(now, then *messages.Pipeline) (fields []string) {
	for _, f := range []struct {
		name  string
		other bool
	}{
		{"repository", now.Repository != then.Repository},
		{"dockerfile", now.Dockerfile != then.Dockerfile},
		{"directory", now.Directory != then.Directory},
		{"image", now.Image != then.Image},
		{"moving_tag", now.MovingTag != then.MovingTag},
		{"platform", now.Platform != then.Platform},
		{"build_args", !maps.Equal(now.BuildArgs, then.BuildArgs)},
		{"hooks_dir", now.HooksDir != then.HooksDir},
		{"submodules", now.Submodules != then.Submodules},
		{"secrets", !slices.Equal(now.Secrets, then.Secrets)},
		{"fleets", !slices.EqualFunc(now.Fleets, then.Fleets, func(a, b messages.FleetTarget) bool { return a.Fleet == b.Fleet })},
	} {
		if f.other {
			fields = append(fields, f.name)
		}
	}
	return fields
}

// basesShown is how many bases are named that have changed.
const basesShown = 3

// otherBases says which bases have changed, or "".
func otherBases(then, now []messages.PinnedBase) string {
	key := func(b messages.PinnedBase) string { // a base that is named by its digest alone is another one by another digest
		if strings.LastIndex(b.Source, ":") > strings.LastIndex(b.Source, "/") {
			return b.Source
		}
		return b.Source + "@" + b.Image.Digest()
	}
	was := map[string]messages.PinnedBase{}
	for _, b := range then {
		was[key(b)] = b
	}
	var others []string
	for _, b := range now {
		old, known := was[key(b)]
		delete(was, key(b))
		switch {
		case !known:
			others = append(others, "base "+familiar(b.Source)+" was not built on before")
		case old.Image != b.Image:
			others = append(others, "base "+familiar(b.Source)+" is another digest")
		}
	}
	for _, b := range slices.SortedFunc(maps.Values(was), func(a, b messages.PinnedBase) int { return cmp.Compare(a.Source, b.Source) }) {
		others = append(others, "base "+familiar(b.Source)+" is not built on any more")
	}
	if more := len(others) - basesShown; more > 0 {
		others = append(others[:basesShown], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(others, ", ")
}

// familiar is an image's name as Dockerfiles have it.
func familiar(source string) string {
	short := strings.TrimPrefix(source, "docker.io/")
	return strings.TrimPrefix(short, "library/")
}
