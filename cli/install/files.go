package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// write makes a file as a whole, of root or of a user.
func (m *machine) write(path string, content []byte, mode os.FileMode, user string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails, as it should, once the file is renamed
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if user != "" {
		if err := m.give(f.Name(), user); err != nil {
			return err
		}
	}
	return os.Rename(f.Name(), path)
}

// give makes a file a user's, and its group's.
func (m *machine) give(path, user string) error {
	account, err := m.account("/etc/passwd", user)
	if err != nil {
		return err
	}
	if account == nil {
		return fmt.Errorf("there is no user %s", user)
	}
	uid, uerr := strconv.Atoi(account[2])
	gid, gerr := strconv.Atoi(account[3])
	if err := errors.Join(uerr, gerr); err != nil {
		return fmt.Errorf("user %s: %w", user, err)
	}
	return m.chown(path, uid, gid)
}

// owns tells whether a file is a user's.
func (m *machine) owns(user string, info fs.FileInfo) bool {
	account, err := m.account("/etc/passwd", user)
	if err != nil || account == nil {
		return false
	}
	found, ok := info.Sys().(*syscall.Stat_t)
	return ok && strconv.FormatUint(uint64(found.Uid), 10) == account[2]
}
