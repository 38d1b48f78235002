package builder

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/fenceline/fenceline/builder/packages"
	"github.com/fenceline/fenceline/messages"
)

// Solver turns a source into an image in a registry.
type Solver interface {
	// Solve builds and pushes. It returns when ctx ends, with ctx's cause, whatever state the
	// solver's backend is in. An error of one of the build's functions comes back as it is,
	// wrapped at most, and nothing is pushed then. Other errors are a *FailedError of class
	// user or infrastructure.
	Solve(ctx context.Context, b Build) (Solved, error)
	// Tag puts a tag on an image that was pushed. It returns when ctx ends, whatever state the
	// registry is in. It may be called again.
	Tag(ctx context.Context, image messages.Image, tag string) error
	// Updates asks the package manager of an image, which an earlier build of the pipeline pushed, which packages have updates.
	// It bounds its own time. What it says is harmless to show. An error says why that is not known.
	Updates(ctx context.Context, b Build, image messages.Image) (Updates, error)
	// Ready tells whether builds can be done now, else what is wrong.
	Ready(ctx context.Context) error
	// MakeRoom removes what earlier builds left on the solver's disk for later ones, the oldest first, until
	// builds have room again or nothing is left to remove.
	MakeRoom(ctx context.Context) error
}

// Build is what a Solver builds. Its source is Commit in the pipeline's repository or, when
// Context is set, that folder.
type Build struct {
	Pipeline *messages.Pipeline
	Commit   string
	Context  string                     // folder on this machine that is the build context
	Token    messages.Secret            // reads the repository
	Secrets  map[string]messages.Secret // by name, for RUN --mount=type=secret
	NoCache  bool                       // every step is run, whatever is kept of earlier builds

	// Log takes progress, with secrets hidden. It must not wait.
	Log func(messages.BuildLog)
	// Resolved is told all image sources, each once, before Pinned; what it returns ends the build. It may be nil.
	Resolved func(ctx context.Context, bases []messages.PinnedBase) error
	// Pinned is told the image sources, each once, before anything is built from them: those whose layers the image will
	// have as they are, and the rest, which nodes need not fetch ahead.
	Pinned func(ctx context.Context, bases, unfetched []messages.PinnedBase) error
	// Check is shown the files of the built image before it is pushed. Paths have no slash
	// in front. ReadDir doesn't follow links; Stat and ReadFile follow them within the image.
	Check func(ctx context.Context, image fs.FS) error
}

// Solved is what a build came to.
type Solved struct {
	Image messages.Image
	Bases []messages.PinnedBase
	Bytes int64 // compressed size of the layers; 0 when it is not known
}

// Updates are the packages of an image that have updates.
type Updates struct {
	Manager string // that was asked; "" where the image has none
	List    []packages.Update
}

// FailedError is a failure that is understood: whose it is, and what mends it.
type FailedError struct {
	messages.Failure
}

// Error is the cause, with its place and the fix.
func (e *FailedError) Error() string {
	text := e.Reason
	if e.Place != "" {
		text = e.Place + ": " + text
	}
	if e.Fix != "" {
		text = fmt.Sprintf("%s: %s", text, e.Fix)
	}
	return text
}
