package tokens

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fileMost bounds the file, in bytes: some ten thousand people.
const fileMost = 2 << 20

// ReadFile reads a file of tokens.
func ReadFile(path string) ([]Entry, error) {
	text, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the console's tokens: %w", err)
	}
	all, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the console's tokens: %s: %w", path, err)
	}
	return all, nil
}

func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, fileMost+1))
	if err == nil && len(b) > fileMost {
		err = fmt.Errorf("%s has more than %d bytes: it is no file of tokens", path, fileMost)
	}
	return string(b), err
}

// Add adds a person's line to a file, and makes the file where there is none, for its owner alone.
func Add(path string, e Entry) error {
	return change(path, func(text string, all []Entry) (string, error) {
		if slices.ContainsFunc(all, func(o Entry) bool { return o.Name == e.Name }) {
			return "", fmt.Errorf("%s has a token already: revoke it first, or give another name", e.Name)
		}
		if text == "" {
			text = "# Who may sign in to the console: NAME ROLE sha256:DIGEST TIME. A line that is deleted is a token revoked.\n"
		}
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		return text + e.String() + "\n", nil
	})
}

// Revoke deletes a person's line.
func Revoke(path, name string) error {
	return change(path, func(text string, all []Entry) (string, error) {
		if !slices.ContainsFunc(all, func(o Entry) bool { return o.Name == name }) {
			return "", fmt.Errorf("%s has no token of %q", path, name)
		}
		var kept []string
		for line := range strings.Lines(text) {
			if words := strings.Fields(line); len(words) == 0 || words[0] != name {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, ""), nil
	})
}

// change changes a file as a whole, alone among those who do so. It stays its owner's, with its mode.
func change(path string, do func(text string, all []Entry) (string, error)) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("changing the console's tokens: %w", err)
		}
	}()
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", filepath.Dir(path), err)
	}
	text, err := read(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all, err := Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if text, err = do(text, all); err != nil {
		return err
	}
	return replace(path, text)
}

// replace writes the file beside its place and moves it there.
func replace(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails, as it should, once the file is renamed
	was, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) { // a new one is its folder's owner's
		if folder, err := os.Stat(filepath.Dir(path)); err == nil {
			if s, ok := folder.Sys().(*syscall.Stat_t); ok {
				_ = f.Chown(int(s.Uid), int(s.Gid))
			}
		}
	}
	if err == nil {
		if s, ok := was.Sys().(*syscall.Stat_t); ok {
			_ = f.Chown(int(s.Uid), int(s.Gid)) // where this may not, the console reads it by its mode, or says so
		}
		if err := f.Chmod(was.Mode().Perm()); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// lookEvery is how often a followed file is looked at.
const lookEvery = time.Second

// Followed is a file of tokens that is read again when it has changed. One that can't be read leaves nobody with a
// token: whoever was struck from it must not stay in for a typing error.
type Followed struct {
	path string
	log  func(error) // is told of each new problem, and nil when it is over

	mu     sync.Mutex
	looked time.Time
	state  string // of the file when it was read
	all    []Entry
	err    error
}

// Follow reads a file, and follows it. A file that is not there is one without tokens: it may come.
func Follow(path string, log func(error)) (*Followed, error) {
	f := &Followed{path: path, log: log}
	f.reload()
	if f.err != nil {
		return nil, f.err
	}
	return f, nil
}

// Entries are those of the file as it is.
func (f *Followed) Entries() []Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.looked) >= lookEvery || now.Before(f.looked) {
		f.looked = now
		f.reload()
	}
	return f.all
}

// Find is whose a token is by the file as it is. A file that has just been changed counts at once.
func (f *Followed) Find(token string) (Entry, bool) {
	if e, known := Find(f.Entries(), token); known {
		return e, true
	}
	f.mu.Lock()
	f.reload()
	all := f.all
	f.mu.Unlock()
	return Find(all, token)
}

// Holds tells whether a line stands in the file as it is.
func (f *Followed) Holds(e Entry) bool { return slices.Contains(f.Entries(), e) }

func (f *Followed) reload() {
	state := stateOf(f.path)
	if state == f.state && f.err == nil {
		return
	}
	all, err := ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		all, err = nil, nil
	}
	if (err == nil) != (f.err == nil) || err != nil && err.Error() != f.err.Error() {
		f.log(err)
	}
	f.state, f.all, f.err = state, all, err
}

// stateOf tells states of a file apart.
func stateOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "none"
	}
	inode := uint64(0)
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = s.Ino
	}
	return fmt.Sprint(inode, info.Size(), info.ModTime().UnixNano())
}
