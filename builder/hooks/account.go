package hooks

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is somebody whom an image knows.
type account struct {
	name   string
	known  bool // the image has it
	uid    uint32
	gid    uint32
	shell  string
	groups []group // the primary one and those that list it
}

type group struct {
	name string
	id   uint32
}

// accounts are those of an image, by its passwd and group files.
type accounts struct{ passwd, group string }

// readAccounts reads the files. Those that aren't there count as empty.
func readAccounts(files fs.FS) (accounts, error) {
	passwd, err := readText(files, "etc/passwd")
	if err != nil {
		return accounts{}, err
	}
	group, err := readText(files, "etc/group")
	return accounts{passwd, group}, err
}

// readText is what stands in a file of an image, or nothing where no file is.
func readText(files fs.FS, name string) (string, error) {
	is, err := fs.Stat(files, name)
	var b []byte
	if err == nil && is.Mode().IsRegular() {
		b, err = fs.ReadFile(files, name)
	}
	if err != nil && !nothingThere(err) {
		return "", fmt.Errorf("reading /%s of the image, which says who its users are: %w", name, err)
	}
	return string(b), nil
}

// nothingThere tells whether an error is about a place at which nothing of the kind is.
func nothingThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) || errors.Is(err, fs.ErrInvalid)
}

// find returns the account of USER or USER:GROUP, each a name or a number, which may have sudo's # before it.
func (a accounts) find(who string) account {
	name, of, _ := strings.Cut(who, ":")
	found := account{name: name}
	if uid, err := number(name); err == nil {
		found.known, found.uid = true, uid
	}
	for f := range fieldsOf(a.passwd, 4) {
		uid, err := number(f[2])
		gid, gidErr := number(f[3])
		if cmp.Or(err, gidErr) != nil || f[0] != name && !(found.known && found.uid == uid) {
			continue
		}
		found = account{name: f[0], known: true, uid: uid, gid: gid}
		if len(f) > 6 {
			found.shell = f[6]
		}
		break
	}
	if gid, err := number(of); err == nil {
		found.gid = gid // which need not be in the image
	}
	for f := range fieldsOf(a.group, 4) {
		gid, err := number(f[2])
		if err != nil {
			continue
		}
		if of != "" && f[0] == of {
			found.gid = gid
		}
		if found.known && gid == found.gid || slices.Contains(strings.Split(f[3], ","), found.name) {
			found.groups = append(found.groups, group{f[0], gid})
		}
	}
	return found
}

// number reads a user's or group's, with or without a #.
func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "#"), 10, 32)
	return uint32(n), err
}

// fieldsOf gives the lines of a passwd or group file that have at least so many fields.
func fieldsOf(file string, least int) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(file) {
			if f := strings.Split(strings.TrimSpace(line), ":"); len(f) >= least && !yield(f) {
				return
			}
		}
	}
}

// The rights that a mode grants.
const (
	mayRead    fs.FileMode = 4
	mayExecute fs.FileMode = 1
)

// may tells whether the account has rights on a file or folder. Root, as which everything runs in an image
// that doesn't have the account, needs no bit but an x of a file.
func (a *account) may(is fs.FileInfo, rights fs.FileMode) bool {
	mode := is.Mode().Perm()
	uid, gid := owner(is)
	switch {
	case !a.known || a.uid == 0:
		return rights&mayExecute == 0 || is.IsDir() || mode&0o111 != 0
	case uid == a.uid:
		return mode>>6&rights == rights
	case gid == a.gid || slices.ContainsFunc(a.groups, func(g group) bool { return g.id == gid }):
		return mode>>3&rights == rights
	}
	return mode&rights == rights
}

// owner is whose a file is: root's, where the file system doesn't say.
func owner(is fs.FileInfo) (uid, gid uint32) {
	switch s := is.Sys().(type) {
	case interface {
		GetUid() uint32
		GetGid() uint32
	}:
		return s.GetUid(), s.GetGid()
	case *syscall.Stat_t:
		return s.Uid, s.Gid
	}
	return 0, 0
}

// describe says what keeps somebody from a file or folder.
func describe(is fs.FileInfo) string {
	uid, gid := owner(is)
	return fmt.Sprintf("mode %04o, owner %d:%d", is.Mode().Perm(), uid, gid)
}
