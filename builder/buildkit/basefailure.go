package buildkit

import (
	"context"
	"fmt"
	"regexp"

	"github.com/fenceline/fenceline/messages"
)

// baseForms are how BuildKit tells which image it could not use.
var baseForms = []*regexp.Regexp{
	regexp.MustCompile(`failed to resolve source metadata for ([^\s]+):`),
	regexp.MustCompile(`failed to copy: .*for (?:image )?([^\s"]+@sha256:[0-9a-f]{64})`),
	regexp.MustCompile(`failed to load cache key: ([^\s]+@sha256:[0-9a-f]{64})`),
}

// noPlatform is how containerd says that an index has no image for the platform.
var noPlatform = regexp.MustCompile(`(^|: )no match for platform in manifest`)

// failedBase is the image that a failure is about.
func failedBase(text string) string {
	for _, form := range baseForms {
		if m := form.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	return ""
}

// explainBase asks the registry about a base image that could not be used.
func (r *run) explainBase(ctx context.Context, base string, f *messages.Failure) error {
	switch said, err := r.solver.registry.ask(ctx, base); said {
	case absent:
		f.Reason = fmt.Sprintf("there is no image %s", base)
		f.Fix = "correct the name or the tag, or push the base image first"
	case denied:
		f.Reason = fmt.Sprintf("there is no image %s, or this builder may not read it", base)
		f.Fix = "correct the name, or give the builders a login for its registry"
	case silent:
		f.Class, f.Reason = messages.FailureInfrastructure, fmt.Sprintf("the registry of the base image %s does not answer: %s", base, r.clean(err))
		f.Fix = "see that the registry is up and that builders can reach it"
	case troubled:
		f.Class, f.Reason = messages.FailureInfrastructure, fmt.Sprintf("the registry of the base image %s is in trouble: %s", base, r.clean(err))
		f.Fix = fixTrouble
	default:
		if noPlatform.MatchString(f.Reason) {
			f.Reason = fmt.Sprintf("the base image %s is not there for the platform that is built: %s", base, f.Reason)
			f.Fix = "use a base for this platform, or correct the pipeline's platform"
			break
		}
		f.Class, f.Reason = messages.FailureInfrastructure, fmt.Sprintf("reading the base image %s failed, which its registry has: %s", base, f.Reason)
		f.Fix = "look at the log of buildkitd if this goes on"
	}
	return failed(*f)
}
