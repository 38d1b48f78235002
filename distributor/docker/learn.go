package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/messages"
)

// errUnlearnt tells that an engine went without the digest though its registry answered.
var errUnlearnt = errors.New("it still knows the image by its tag alone")

// Learn has the engine ask the registry for a manifest whose layers it has all: one without containerd's store learns
// digests from registries alone. The tag stays: with the last tag of a repository such an engine forgets the digests
// of it.
func (e *Engine) Learn(ctx context.Context, image messages.Image) error {
	doing := "asking the registry for the digest of " + string(image)
	login, err := e.logins.of(image)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	answer, err := e.api().ImagePull(ctx, string(image), client.ImagePullOptions{RegistryAuth: login.header})
	if err == nil {
		err = answer.Wait(ctx)
	}
	if err != nil {
		return e.fault(ctx, doing, err)
	}
	got, err := e.Inspect(ctx, image)
	if err == nil && got.Fed {
		err = fmt.Errorf("%s: %w", doing, errUnlearnt)
	}
	return err
}
