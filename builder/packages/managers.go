package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Manager is a package manager that can be asked for updates.
type Manager struct {
	Name string
	// Script is what sh -c runs in a container of the image, with a network, as root. It changes nothing but lists of packages.
	Script string
	// read reads what the script printed, and its exit status.
	read func(out, errs string, status int) ([]Update, error)
}

// Shell runs a Manager's Script.
const Shell = "/bin/sh"

// asked comes between what a refresh of the lists prints and the answer.
const asked = "-- fenceline asks for updates --"

// managers are those that can be asked, with the place of each in an image. An image that has several is asked by the first.
var managers = []struct {
	path string
	make func(path string) Manager
}{
	{"usr/bin/apt-get", apt},
	{"sbin/apk", apk},
	{"usr/sbin/apk", apk},
	{"usr/bin/apk", apk},
	{"usr/bin/dnf", dnf},
	{"usr/bin/yum", yum},
}

// strangers are the places of managers that can't be asked.
var strangers = []string{
	"usr/bin/microdnf", "usr/bin/tdnf", "usr/bin/zypper", "usr/bin/pacman", "usr/bin/xbps-install", "usr/bin/emerge", "usr/bin/opkg", "bin/opkg", "usr/bin/swupd", "usr/bin/nix-env",
}

// ErrNone tells that an image has no package manager: its packages are those that its build put there, and it can't be asked.
var ErrNone = errors.New("the image has no package manager")

// Of is the package manager of an image, by its files. ErrNone where it has none; another error where it has one that can't be
// asked.
func Of(image fs.FS) (Manager, error) {
	for _, m := range managers {
		switch there, err := has(image, m.path); {
		case err != nil:
			return Manager{}, err
		case !there:
			continue
		}
		switch there, err := has(image, strings.TrimPrefix(Shell, "/")); {
		case err != nil:
			return Manager{}, err
		case !there:
			return Manager{}, fmt.Errorf("the image has /%s and no %s to run it with", m.path, Shell)
		}
		return m.make("/" + m.path), nil
	}
	for _, path := range strangers {
		switch there, err := has(image, path); {
		case err != nil:
			return Manager{}, err
		case there:
			return Manager{}, fmt.Errorf("the image's packages are those of /%s, which is not asked for updates", path)
		}
	}
	return Manager{}, ErrNone
}

func has(image fs.FS, path string) (bool, error) {
	_, err := fs.Stat(image, path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for /%s in the image: %w", path, err)
	}
	return true, nil
}

// Read is what the packages are that have updates, by what Script printed on its two streams and its exit status. An error says
// why that is not known.
func (m *Manager) Read(out, errs string, status int) ([]Update, error) {
	updates, err := m.read(out, errs, status)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	return updates, nil
}

// answer splits what a script printed, and is an error with the cause where it failed.
func answer(out, errs string, status int) (refresh, answer string, err error) {
	refresh, answer, complete := strings.Cut(out, asked+"\n")
	switch {
	case status != 0:
		return "", "", fmt.Errorf("it ended with status %d: %s", status, lastLine(errs, out))
	case !complete:
		return "", "", errors.New("it did not come to the answer: " + lastLine(errs, out))
	}
	return refresh, answer, nil
}

// lastLine is the last line that says something, of the first text that has one.
func lastLine(texts ...string) string {
	for _, text := range texts {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
			return harmless(last, 200)
		}
	}
	return "it said nothing"
}

// lineWith is the first line that has one of the words, made harmless; "" for none.
func lineWith(text string, words ...string) string {
	for line := range strings.Lines(text) {
		for _, word := range words {
			if strings.Contains(line, word) {
				return harmless(strings.TrimSpace(line), 200)
			}
		}
	}
	return ""
}
