package builder

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// The bounds of an uploaded build context.
const (
	maxContextBytes = 4 << 30
	maxContextFiles = 200_000
)

// fetch unpacks an uploaded build context into a new folder, which the caller removes. The
// folder is the context itself: a pipeline's directory counts in its repository alone.
func (b *Builder) fetch(ctx context.Context, name string) (*Folder, error) {
	r, err := b.config.Queue.GetContext(ctx, name)
	if errors.Is(err, queue.ErrNotFound) {
		return nil, contextFailure(fmt.Sprintf("the uploaded context %s is gone", name), "submit it again")
	}
	if err != nil {
		return nil, fmt.Errorf("fetching context %s: %w", name, err)
	}
	defer r.Close()
	dir, err := NewFolder(ctx)
	if err != nil {
		return nil, fmt.Errorf("making a folder for context %s: %w", name, err)
	}
	if err := unpack(r, dir.Path, maxContextBytes, maxContextFiles); err != nil {
		return nil, errors.Join(err, dir.Remove())
	}
	return dir, nil
}

func contextFailure(reason, fix string) error {
	return &FailedError{messages.Failure{Class: messages.FailureUser, Reason: reason, Fix: fix}}
}

// unpack writes a tar's files, folders and links into dir. Nothing is written outside dir,
// whatever the tar's names and links say. Its files may have left bytes together, and it may
// make so many files and folders.
func unpack(r io.Reader, dir string, left int64, most int) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpacking a context: %w", err)
	}
	defer func() { _ = root.Close() }()
	t := tar.NewReader(r)
	for files := 0; ; files++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF):
			return contextFailure("the uploaded context is no tar, or not all of one", "upload it with 'fenceline submit'")
		case err != nil:
			return fmt.Errorf("unpacking a context: %w", err)
		case files >= most || h.Size < 0 || h.Size > left:
			return contextFailure(fmt.Sprintf("the uploaded context has more than %d files or %d bytes", maxContextFiles, int64(maxContextBytes)),
				"leave out what the build doesn't need")
		}
		left -= h.Size
		files += missingFolders(root, h.Name)
		if err := unpackOne(root, h, t); badEntry(err) {
			return contextFailure(fmt.Sprintf("the uploaded context has a bad entry: %v", err), "upload it with 'fenceline submit'")
		} else if err != nil {
			return fmt.Errorf("unpacking %q of a context: %w", h.Name, err)
		}
	}
}

// maxName is the longest name of an entry, in bytes: Linux takes no longer paths.
const maxName = 4096

// missingFolders returns how many folders an entry may make besides itself: none where its own
// is there, as in a tar that lists folders before what they hold.
func missingFolders(root *os.Root, name string) int {
	parent := filepath.Dir(filepath.Clean(filepath.FromSlash(name)))
	if _, err := root.Stat(parent); err == nil || len(name) > maxName {
		return 0
	}
	return 1 + strings.Count(parent, "/")
}

// errType is an entry of a kind that contexts don't have.
var errType = errors.New("is neither file, folder nor link")

// badEntry tells an error that the entry itself is to blame for from one of this machine or of
// the way here, such as a full disk.
func badEntry(err error) bool {
	for _, bad := range []error{
		errType, tar.ErrHeader, io.ErrUnexpectedEOF, syscall.EINVAL, syscall.ENAMETOOLONG, syscall.ENOENT,
		syscall.ENOTDIR, syscall.EISDIR, syscall.EEXIST, syscall.ELOOP, syscall.EPERM,
	} {
		if errors.Is(err, bad) {
			return true
		}
	}
	// os.Root has no error of its own to compare with.
	return err != nil && strings.Contains(err.Error(), "path escapes from parent")
}

func unpackOne(root *os.Root, h *tar.Header, content io.Reader) error {
	if len(h.Name) > maxName {
		return syscall.ENAMETOOLONG
	}
	name := filepath.Clean(filepath.FromSlash(h.Name))
	if name == "." {
		return nil
	}
	mode := fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, mode|0o700)
	case tar.TypeSymlink, tar.TypeLink, tar.TypeReg:
	default:
		return fmt.Errorf("%q %w", h.Name, errType)
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		return root.Symlink(h.Linkname, name)
	}
	if h.Typeflag == tar.TypeLink {
		return root.Link(filepath.Clean(filepath.FromSlash(h.Linkname)), name)
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(mode|0o600), f.Close())
}
