package docker

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// shellFor is the shell that must run a hook without a shebang, which the kernel doesn't
// execute; "" for others.
func (e *Engine) shellFor(ctx context.Context, id, hook string) (string, error) {
	first, err := e.firstBytes(ctx, id, hook)
	if errdefs.IsNotFound(err) {
		return "", verdictError{hook + " is not in the image"}
	}
	if err != nil {
		return "", e.fault(ctx, "reading "+hook, err)
	}
	if strings.HasPrefix(first, "#!") || strings.HasPrefix(first, "\x7fELF") {
		return "", nil
	}
	for _, shell := range []string{"/bin/bash", "/bin/sh"} {
		_, err := e.api.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: shell})
		if err == nil {
			return shell, nil
		}
		if !errdefs.IsNotFound(err) {
			return "", e.fault(ctx, "looking for "+shell, err)
		}
	}
	return "", verdictError{hook + " has no shebang line, and the image has no shell to run it"}
}

// firstBytes reads the start of a file in a container, through links.
func (e *Engine) firstBytes(ctx context.Context, id, file string) (string, error) {
	stat, err := e.api.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: file})
	if err != nil {
		return "", err
	}
	if stat.Stat.LinkTarget != "" {
		file = stat.Stat.LinkTarget
	}
	got, err := e.api.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: file})
	if err != nil {
		return "", err
	}
	defer func() { _ = got.Content.Close() }()
	archive := tar.NewReader(got.Content)
	if _, err := archive.Next(); err != nil {
		return "", err
	}
	buf := make([]byte, 4)
	n, err := io.ReadFull(archive, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	return string(buf[:n]), nil
}
