package imagediff

import (
	"path"
	"strings"
)

// Where databases of packages are (file-hierarchy of the distributions; the last of rpm's are those of ostree).
const (
	dpkgStatus = "var/lib/dpkg/status"
	dpkgFolder = "var/lib/dpkg/status.d" // of images without a package manager: a file for each package
)

func apkFiles() []string { return []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"} }

func rpmFolders() []string {
	return []string{"var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"}
}

func rpmFiles() (out []string) {
	for _, dir := range rpmFolders() {
		for _, file := range []string{"rpmdb.sqlite", "Packages.db", "Packages"} {
			out = append(out, dir+"/"+file)
		}
	}
	return out
}

// rpmLog is what rpmdb.sqlite's newest changes may still lie in.
const rpmLog = "rpmdb.sqlite-wal"

// wanted are the files that tell how images differ, as paths without a slash in front.
type wanted struct {
	files   map[string]bool
	folders map[string]bool // all files below them
	above   map[string]bool // the folders on the way
}

// newWanted are the databases of packages, and the hooks in the folders of both images.
func newWanted(hooksDir, otherDir string, hooks []string) *wanted {
	w := &wanted{files: map[string]bool{}, folders: map[string]bool{}, above: map[string]bool{}}
	w.add(dpkgStatus, false)
	w.add(dpkgFolder, true)
	for _, f := range append(apkFiles(), rpmFiles()...) {
		w.add(f, false)
	}
	for _, dir := range rpmFolders() {
		w.add(dir+"/"+rpmLog, false)
	}
	for _, dir := range []string{hooksDir, otherDir} {
		for _, h := range hooks {
			w.add(path.Join(dir, h), false)
		}
	}
	return w
}

// add wants one more.
func (w *wanted) add(name string, folder bool) {
	if folder {
		w.folders[name] = true
	} else {
		w.files[name] = true
	}
	for dir := path.Dir(name); dir != "." && !w.above[dir]; dir = path.Dir(dir) {
		w.above[dir] = true
	}
}

// mostWanted bounds what is wanted as links lead there.
const mostWanted = 100_000

// full tells whether no more is to be wanted.
func (w *wanted) full() bool { return len(w.files)+len(w.folders)+len(w.above) > mostWanted }

// takes tells whether an entry of a layer matters.
func (w *wanted) takes(name string) bool { return w.above[name] || w.folders[name] || w.reads(name) }

// reads tells whether the content of a file matters.
func (w *wanted) reads(name string) bool {
	if w.files[name] {
		return true
	}
	for dir := range w.folders {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}
