package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxFile bounds a file that is read and written.
const maxFile = 8 << 20

// file is a file as it was read.
type file struct {
	path    string      // where it is, behind symbolic links
	content []byte      // nil where there is none
	info    os.FileInfo // nil where there is none
}

// readFile reads the file at path. Symbolic links are followed: what they lead to is read, and replaced.
func readFile(path string) (*file, error) {
	f := &file{path: path}
	link, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, fmt.Errorf("looking at %s: %w", path, err)
	case link.Mode()&fs.ModeSymlink != 0:
		if f.path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, fmt.Errorf("%s is a symbolic link that leads to nothing: %w: make the file that it leads to, or remove the link", path, err)
		}
	}
	if f.info, err = os.Stat(f.path); err != nil {
		return nil, fmt.Errorf("looking at %s: %w", f.path, err)
	}
	if f.info.IsDir() {
		return nil, fmt.Errorf("%s is a folder: name a file in it, or remove it", f.path)
	}
	if f.content, err = readBounded(f.path, maxFile); err != nil {
		return nil, fmt.Errorf("reading %s: %w%s", f.path, err, allowed(err, "read"))
	}
	if f.content == nil {
		f.content = []byte{}
	}
	return f, nil
}

// allowed is the fix where a file may not be used.
func allowed(err error, to string) string {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Sprintf(": let user %d %s it", os.Geteuid(), to)
	}
	return ""
}

// moved tells whether the file was changed since it was read.
func (f *file) moved() bool {
	info, err := os.Stat(f.path)
	switch {
	case f.info == nil:
		return err == nil
	case err != nil:
		return true
	}
	return !os.SameFile(info, f.info) || !info.ModTime().Equal(f.info.ModTime()) || info.Size() != f.info.Size()
}

// newMode is that of a file that was not there: it holds no secret.
const newMode = 0o644

// errMoved tells that somebody else wrote the file meanwhile.
var errMoved = errors.New("it changes while it is being written: something else writes it all the time")

// replace puts content in the place of the file, whole: readers see the old file or the new one. Owner
// and mode stay. errMoved where the file was changed since it was read.
func (f *file) replace(content []byte) error {
	mode, owner := fs.FileMode(newMode), (*syscall.Stat_t)(nil)
	if f.info != nil {
		mode = f.info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
		owner, _ = f.info.Sys().(*syscall.Stat_t)
	}
	unless := func() error {
		if f.moved() {
			return errMoved
		}
		return nil
	}
	if err := writeWhole(f.path, content, mode, owner, unless); err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	return nil
}

// writeWhole writes a file beside its place, and moves it there once it is whole and on disk.
func writeWhole(path string, content []byte, mode fs.FileMode, owner *syscall.Stat_t, unless func() error) (err error) {
	folder := filepath.Dir(path)
	out, err := os.CreateTemp(folder, leftovers(path))
	if err != nil {
		return noFolder(folder, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(out.Name()) // or it is removed at the next write
		}
	}()
	_, err = out.Write(content)
	if err == nil {
		err = takeOwner(out, owner)
	}
	if err == nil {
		err = out.Chmod(mode)
	}
	if err == nil {
		err = out.Sync()
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err == nil && unless != nil {
		err = unless()
	}
	if err != nil {
		return withoutPath(err)
	}
	if err = os.Rename(out.Name(), path); err != nil {
		if errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("it can't be replaced as it is a mount of its own: mount its folder instead: %w", syscall.EBUSY)
		}
		return withoutPath(err)
	}
	return syncFolder(folder)
}

// takeOwner gives a new file the owner of the one that it replaces.
func takeOwner(out *os.File, owner *syscall.Stat_t) error {
	info, err := out.Stat()
	if err != nil {
		return err
	}
	own, ok := info.Sys().(*syscall.Stat_t)
	if owner == nil || !ok || own.Uid == owner.Uid && own.Gid == owner.Gid {
		return nil
	}
	if err := out.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
		return fmt.Errorf("it belongs to user %d and group %d, and must go on doing so, which user %d can't see to: give the file to that user, or run the distributor as root: %w",
			owner.Uid, owner.Gid, os.Geteuid(), withoutPath(err))
	}
	return nil
}

// noFolder is why no file can be made in a folder.
func noFolder(folder string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s: make it", folder)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("user %d may make no file in %s, where the new one is written before it takes the old one's place: let it", os.Geteuid(), folder)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s is read-only here: under systemd, add ReadWritePaths=%s to the service", folder, folder)
	}
	return withoutPath(err)
}

// withoutPath is the cause alone: a temporary file's name tells nobody anything.
func withoutPath(err error) error {
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		return at.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// leftovers matches the files that are not in their place yet, as CreateTemp and Glob take it.
func leftovers(path string) string { return "." + filepath.Base(path) + ".fenceline-*" }

// removeLeftovers removes what a kill left of writes of a file.
func removeLeftovers(path string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return // writing says so
	}
	begin := strings.TrimSuffix(leftovers(path), "*")
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), begin) && e.Type().IsRegular() {
			_ = os.Remove(filepath.Join(filepath.Dir(path), e.Name())) // the next time, else
		}
	}
}

// syncFolder makes a rename last.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// tryFolder tells whether a file could be written at path.
func tryFolder(path string) error {
	out, err := os.CreateTemp(filepath.Dir(path), leftovers(path))
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, noFolder(filepath.Dir(path), err))
	}
	return errors.Join(out.Close(), os.Remove(out.Name()))
}
