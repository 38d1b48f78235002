package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
)

// nothing is a program that no image has.
const nothing = "/fenceline-nothing"

// startsAnother tells whether the engine starts a container like a trial's of another image: nil where
// it does all that comes before the program. The image is made here and holds no program, so that the
// program's absence is what the engine has to complain of.
func (e *Engine) startsAnother(ctx context.Context, t distributor.Trial) error {
	return e.withControl(ctx, t.Owner, func(image string) (err error) {
		id, err := e.createTrial(ctx, t, image, "", []string{nothing})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.removeContainer(ctx, id)) }()
		_, err = e.api().ContainerStart(ctx, id, client.ContainerStartOptions{})
		if err == nil || strings.Contains(err.Error(), nothing) {
			return nil
		}
		return err
	})
}

// takesAnother tells whether the engine takes in an image: nil where it does.
func (e *Engine) takesAnother(ctx context.Context, key string) error {
	return e.withControl(ctx, key, func(string) error { return nil })
}

// Sound tells whether the engine takes in an image and reads it.
func (e *Engine) Sound(ctx context.Context) error {
	return e.withControl(ctx, "sound", func(image string) error {
		_, err := e.api().ImageInspect(ctx, image)
		return err
	})
}

// withControl makes an image of one small file, calls fn with its name, and removes it. The name is
// under the local tags' host, so that one that a killed agent leaves is found and removed.
func (e *Engine) withControl(ctx context.Context, key string, fn func(image string) error) (err error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	const file = "control"
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: file, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(file))}),
		writeAll(w, file), w.Close()); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(key))
	image := distributor.ControlTag(fmt.Sprintf("%x", sum[:8]))
	answer, err := e.api().ImageImport(ctx, client.ImageImportSource{Source: &archive, SourceName: "-"}, image, client.ImageImportOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = answer.Close() }()
	said, err := io.ReadAll(io.LimitReader(answer, 64<<10))
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, e.Remove(context.WithoutCancel(ctx), image))
	}()
	if bytes.Contains(said, []byte(`"errorDetail"`)) {
		return fmt.Errorf("importing an image: %s", said)
	}
	return fn(image)
}

func writeAll(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}
