package buildkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fenceline/fenceline/builder/hooks"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// imageFS reads the files of a built image. BuildKit answers for a missing file with an
// untyped error, so whether it is missing is found out from the folders above it.
type imageFS struct {
	ctx    context.Context //nolint:containedctx // the methods of fs.FS take none
	ref    gateway.Reference
	config ocispecs.ImageConfig
}

var (
	_ fs.ReadDirFS  = (*imageFS)(nil)
	_ fs.ReadFileFS = (*imageFS)(nil)
	_ fs.StatFS     = (*imageFS)(nil)
	_ fs.ReadLinkFS = (*imageFS)(nil)

	_ hooks.Configured = (*imageFS)(nil)
)

// maxFile is the most that is read of a file, in bytes.
const maxFile = 4 << 20

func (i *imageFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	stats, err := i.ref.ReadDir(i.ctx, gateway.ReadDirRequest{Path: "/" + name})
	if err != nil {
		return nil, i.failure("readdir", name, err)
	}
	entries := make([]fs.DirEntry, len(stats))
	for n, s := range stats {
		entries[n] = fs.FileInfoToDirEntry(fileInfo{s})
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

func (i *imageFS) ReadFile(name string) ([]byte, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readfile", Path: name, Err: fs.ErrInvalid}
	}
	b, err := i.ref.ReadFile(i.ctx, gateway.ReadRequest{Filename: "/" + name, Range: &gateway.FileRange{Length: maxFile}})
	if err != nil {
		return nil, i.failure("readfile", name, err)
	}
	return b, nil
}

func (i *imageFS) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	s, err := i.ref.StatFile(i.ctx, gateway.StatRequest{Path: "/" + name})
	if err != nil {
		return nil, i.failure("stat", name, err)
	}
	return fileInfo{s}, nil
}

// Lstat tells what is at a place, a link as a link.
func (i *imageFS) Lstat(name string) (fs.FileInfo, error) {
	s, err := i.lstat("lstat", name)
	if err != nil {
		return nil, err
	}
	return fileInfo{s}, nil
}

// ReadLink tells where a link leads.
func (i *imageFS) ReadLink(name string) (string, error) {
	s, err := i.lstat("readlink", name)
	if err == nil && os.FileMode(s.GetMode())&os.ModeSymlink == 0 {
		err = &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return s.GetLinkname(), err
}

func (i *imageFS) lstat(op, name string) (*fstypes.Stat, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return i.ref.StatFile(i.ctx, gateway.StatRequest{Path: "/"})
	}
	dir, base := path.Split(name)
	stats, err := i.ref.ReadDir(i.ctx, gateway.ReadDirRequest{Path: "/" + dir, IncludePattern: escape(base)})
	if err != nil {
		return nil, i.failure(op, name, err)
	}
	at := slices.IndexFunc(stats, func(s *fstypes.Stat) bool { return path.Base(s.GetPath()) == base })
	if at < 0 {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return stats[at], nil
}

// Getenv is the value of a variable of the image's configuration, or "".
func (i *imageFS) Getenv(name string) string {
	for _, v := range i.config.Env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// User is as whom containers of the image run, "" for root.
func (i *imageFS) User() string { return i.config.User }

// configuration is that of an image, as the frontend gives it.
func configuration(config []byte) ocispecs.ImageConfig {
	var image ocispecs.Image
	if json.Unmarshal(config, &image) != nil {
		return ocispecs.ImageConfig{} // as if it set nothing
	}
	return image.Config
}

// Open reads the whole file.
func (i *imageFS) Open(name string) (fs.File, error) {
	info, err := i.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return &file{Reader: bytes.NewReader(nil), info: info}, nil
	}
	b, err := i.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &file{Reader: bytes.NewReader(b), info: info}, nil
}

// file is an opened file of an image.
type file struct {
	io.Reader
	info fs.FileInfo
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }

// failure says why a file could not be read: with fs.ErrNotExist when it isn't there, or is a
// link that leads nowhere.
func (i *imageFS) failure(op, name string, err error) error {
	if i.ctx.Err() == nil {
		switch missing, isFile, looked := i.missing(name, err); {
		case looked != nil:
			err = looked
		case missing:
			err = fs.ErrNotExist
		case isFile && op == "readdir":
			err = syscall.ENOTDIR
		}
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// missing walks to name and tells whether some part of the way is not there, or else whether
// name is something other than a folder. Where the way leads through a link, the text of err has to tell.
func (i *imageFS) missing(name string, err error) (missing, isFile bool, looked error) {
	dir := "/"
	parts := strings.Split(name, "/")
	for n, part := range parts {
		stats, lookErr := i.ref.ReadDir(i.ctx, gateway.ReadDirRequest{Path: dir, IncludePattern: escape(part)})
		if lookErr != nil {
			return false, false, fmt.Errorf("reading the folder %s: %w", dir, lookErr)
		}
		at := slices.IndexFunc(stats, func(s *fstypes.Stat) bool { return path.Base(s.GetPath()) == part })
		if at < 0 {
			return true, false, nil
		}
		switch mode := os.FileMode(stats[at].GetMode()); {
		case mode&os.ModeSymlink != 0:
			return contains(err.Error(), "no such file", "not a directory", "too many links"), false, nil
		case !mode.IsDir():
			return n < len(parts)-1, true, nil
		}
		dir = path.Join(dir, part)
	}
	return false, false, nil
}

// escape makes a name a pattern that matches it alone.
func escape(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// fileInfo is a file's description; its mode is Go's.
type fileInfo struct{ *fstypes.Stat }

func (f fileInfo) Name() string       { return path.Base(f.GetPath()) }
func (f fileInfo) Size() int64        { return f.Stat.GetSize() }
func (f fileInfo) Mode() fs.FileMode  { return fs.FileMode(f.GetMode()) }
func (f fileInfo) ModTime() time.Time { return time.Unix(0, f.GetModTime()) }
func (f fileInfo) IsDir() bool        { return f.Mode().IsDir() }
func (f fileInfo) Sys() any           { return f.Stat }
