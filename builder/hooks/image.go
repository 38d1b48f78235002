package hooks

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/fenceline/fenceline/messages"
)

// Configured is an image that tells its configuration, too.
type Configured interface {
	Getenv(name string) string // the value of a variable, "" for one that is not set
	User() string              // as whom its containers run, "" for root
}

// defaultPath is where engines look for programs when an image sets no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// image is a built image while its hooks are checked.
type image struct {
	files    fs.FS
	accounts accounts
	user     account // who runs the hooks
	sudoers  *sudoers
	answered func() bool            // its package managers are set to go on without an answer
	seen     map[string]fs.FileInfo // by path, nil where nothing is
	err      error                  // the first about reading the image; the answers count no more
}

// newImage looks who is to run the hooks of an image.
func newImage(files fs.FS, user string) (*image, error) {
	i := &image{files: files, seen: map[string]fs.FileInfo{}}
	var err error
	if i.accounts, err = readAccounts(files); err != nil {
		return nil, err
	}
	i.user = i.accounts.find(cmp.Or(user, messages.HookUser))
	if own, ok := files.(Configured); ok && user == "" && !i.user.known && own.User() != "" {
		i.user = i.accounts.find(own.User())
	}
	i.sudoers = &sudoers{image: i}
	i.answered = sync.OnceValue(i.saysYes)
	return i, nil
}

// path is where programs are looked for.
func (i *image) path() string {
	if e, ok := i.files.(Configured); ok && e.Getenv("PATH") != "" {
		return e.Getenv("PATH")
	}
	return defaultPath
}

// lstat is what stands at a place, a link as a link, or nil.
func (i *image) lstat(name string) fs.FileInfo {
	if is, ok := i.seen[name]; ok {
		return is
	}
	is, err := fs.Lstat(i.files, name)
	if err != nil {
		if is = nil; !nothingThere(err) && i.err == nil {
			i.err = fmt.Errorf("looking at /%s of the image: %w", name, err)
		}
	}
	i.seen[name] = is
	return is
}

// found is what a path of an image leads to.
type found struct {
	real   string      // its path with every link followed, no slash in front; "." is the root
	is     fs.FileInfo // nil where nothing is
	closed string      // the first folder on the way that user may not enter, or ""
}

// maxLinks bounds the links that are followed, as the kernel does (path_resolution(7)).
const maxLinks = 40

// follow goes along a path as user.
func (i *image) follow(name string, user *account) found {
	at := found{real: ".", is: i.lstat(".")}
	rest := strings.Split(strings.Trim(name, "/"), "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		if at.is == nil || !at.is.IsDir() {
			return found{real: at.real, closed: at.closed}
		}
		if at.closed == "" && !user.may(at.is, mayExecute) {
			at.closed = at.real
		}
		at.real = path.Join(at.real, part)
		if strings.HasPrefix(at.real, "..") {
			at.real = "."
		}
		if at.is = i.lstat(at.real); at.is == nil || at.is.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		target, err := fs.ReadLink(i.files, at.real)
		if links++; err != nil || links > maxLinks {
			return found{real: at.real, closed: at.closed}
		}
		rest = append(strings.Split(target, "/"), rest...)
		if at.real = path.Dir(at.real); path.IsAbs(target) {
			at.real = "."
		}
		at.is = i.lstat(at.real)
	}
	return at
}

// program returns the path of a command as the user would find it in a list of folders, or "".
func (i *image) program(name, list string, user *account) string {
	for _, dir := range strings.Split(list, ":") {
		if !path.IsAbs(dir) {
			continue
		}
		file := path.Join(dir, name)
		if at := i.follow(file, user); at.is != nil && at.closed == "" && at.is.Mode().IsRegular() && user.may(at.is, mayExecute) {
			return file
		}
	}
	return ""
}

// isBash tells whether a shell of the image is bash under whatever name.
func (i *image) isBash(shell string) bool {
	at := i.follow(shell, &i.user)
	if at.is == nil || path.Base(at.real) == "bash" {
		return at.is != nil
	}
	b, err := fs.ReadFile(i.files, at.real)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && i.err == nil {
		i.err = fmt.Errorf("reading /%s of the image: %w", at.real, err)
	}
	return bytes.Contains(b, []byte("GNU bash"))
}
