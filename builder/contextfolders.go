package builder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// folderPrefix begins the names of the folders that contexts are unpacked into, among the
// machine's temporary files.
const folderPrefix = "fenceline-context-"

// Folder is a folder of this process, for what a build is made from. Others know by a lock, which ends with the process,
// that it is in use.
type Folder struct {
	Path string
	held *os.File
}

// NewFolder makes a folder. Between its making and its lock a starting builder may take it
// for a left one: then another is made.
func NewFolder(ctx context.Context) (*Folder, error) {
	for ctx.Err() == nil {
		path, err := os.MkdirTemp("", folderPrefix)
		if err != nil {
			return nil, err
		}
		held, err := hold(path)
		switch {
		case err != nil:
			return nil, errors.Join(err, os.RemoveAll(path))
		case held != nil:
			return &Folder{path, held}, nil
		}
	}
	return nil, context.Cause(ctx)
}

// Remove removes the folder and what is in it.
func (f *Folder) Remove() error { return errors.Join(os.RemoveAll(f.Path), f.held.Close()) }

// hold locks a folder, or returns nil where another process holds or has removed it.
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		var mine, there fs.FileInfo
		if mine, err = f.Stat(); err == nil {
			there, err = os.Lstat(path)
		}
		if err == nil && os.SameFile(mine, there) {
			return f, nil
		}
	}
	_ = f.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, fmt.Errorf("locking %s: %w", path, err)
}

// sweep removes the folders that builders left behind which were killed: those that nobody
// holds. Folders of other users stay.
func (b *Builder) sweep() {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), folderPrefix+"*"))
	if err != nil {
		b.config.Logger.Warn().Err(err).Msg("can't look for unpacked contexts that were left behind")
	}
	for _, path := range left {
		held, err := hold(path)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
			continue // of somebody else, or no folder
		}
		if held != nil {
			err = (&Folder{path, held}).Remove()
		}
		switch {
		case err != nil:
			b.config.Logger.Warn().Err(err).Str("folder", path).Msg("can't remove an unpacked context that was left behind: remove it")
		case held != nil:
			b.config.Logger.Info().Str("folder", path).Msg("removed an unpacked context that was left behind")
		}
	}
}
