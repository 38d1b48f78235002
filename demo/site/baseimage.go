package site

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Login is who pushes to a registry.
type Login struct{ User, Password string }

// Layer is the one layer of a base image. It is read only when it has to be pushed.
type Layer struct {
	Digest v1.Hash
	Open   func() (v1.Layer, error)
}

// PushBase makes an image of one layer and puts it into a registry as ref, unless ref
// already names the same one. It tells whether it had to be pushed.
func PushBase(ctx context.Context, ref string, layer Layer, login Login) (pushed bool, err error) {
	tag, err := name.NewTag(ref)
	if err != nil {
		return false, fmt.Errorf("pushing the base image: %w", err)
	}
	auth := remote.WithAuth(&authn.Basic{Username: login.User, Password: login.Password})
	switch have, err := remote.Image(tag, auth, remote.WithContext(ctx)); {
	case err == nil:
		if layers, err := have.Layers(); err == nil && len(layers) == 1 {
			if d, err := layers[0].Digest(); err == nil && d == layer.Digest {
				return false, nil
			}
		}
	case !missing(err):
		return false, fmt.Errorf("looking for %s: %w", ref, err)
	}
	content, err := layer.Open()
	if err != nil {
		return false, fmt.Errorf("reading the base image's layer: %w", err)
	}
	img, err := baseImage(content)
	if err != nil {
		return false, err
	}
	if err := remote.Write(tag, img, auth, remote.WithContext(ctx)); err != nil {
		return false, fmt.Errorf("pushing %s: %w", ref, err)
	}
	return true, nil
}

func missing(err error) bool {
	var t *transport.Error
	return errors.As(err, &t) && t.StatusCode == http.StatusNotFound
}

func baseImage(layer v1.Layer) (v1.Image, error) {
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("making the base image: %w", err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("making the base image: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return nil, fmt.Errorf("making the base image: %w", err)
	}
	return img, nil
}

// FileLayer is the layer in a gzipped tar file.
func FileLayer(path string) (Layer, error) {
	f, err := os.Open(path)
	if err != nil {
		return Layer{}, fmt.Errorf("reading the base image's layer: %w (make setup makes it)", err)
	}
	defer f.Close()
	digest, _, err := v1.SHA256(f)
	if err != nil {
		return Layer{}, fmt.Errorf("reading the base image's layer: %w", err)
	}
	return Layer{digest, func() (v1.Layer, error) { return tarball.LayerFromFile(path) }}, nil
}

// BusyboxLayer is a small file system around a static busybox: its applets, /bin/sh, the
// accounts root and stackato. Files are added as they are, by path; one that begins with #! is executable.
// Without a busybox ("") the files are all there is: a base with no shell.
func BusyboxLayer(busybox string, files map[string]string) (Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	write := func(h *tar.Header, content []byte) error {
		h.Size, h.Format = int64(len(content)), tar.FormatPAX
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	if err := busyboxFiles(busybox, write); err != nil {
		return Layer{}, fmt.Errorf("making a busybox base: %w", err)
	}
	for path, content := range files {
		mode := int64(0o644)
		if strings.HasPrefix(content, "#!") {
			mode = 0o755
		}
		if err := write(&tar.Header{Name: path, Mode: mode}, []byte(content)); err != nil {
			return Layer{}, fmt.Errorf("making a base: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return Layer{}, fmt.Errorf("making a base: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil })
	if err != nil {
		return Layer{}, fmt.Errorf("making a base: %w", err)
	}
	digest, err := layer.Digest()
	return Layer{digest, func() (v1.Layer, error) { return layer, nil }}, err
}

func busyboxFiles(busybox string, write func(*tar.Header, []byte) error) error {
	if busybox == "" {
		return nil
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		return fmt.Errorf("%w (make setup gets one)", err)
	}
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("asking %s what it can do: %w", busybox, err)
	}
	for _, dir := range []string{"bin/", "etc/", "tmp/", "home/", "home/stackato/"} {
		if err := write(&tar.Header{Name: dir, Mode: 0o755, Typeflag: tar.TypeDir}, nil); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/:/bin/sh\nstackato:x:1000:1000::/home/stackato:/bin/sh\n",
		"etc/group":  "root:x:0:\nstackato:x:1000:\n",
	} {
		if err := write(&tar.Header{Name: name, Mode: 0o644}, []byte(content)); err != nil {
			return err
		}
	}
	if err := write(&tar.Header{Name: "bin/busybox", Mode: 0o755}, program); err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(applets)) {
		if name == "busybox" {
			continue
		}
		if err := write(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, nil); err != nil {
			return err
		}
	}
	return nil
}
