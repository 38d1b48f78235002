package producer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/fenceline/fenceline/yamlfile"
)

// The kinds of variables in a pipeline file: what differs by site.
const (
	variableEnv  = "env"  // ${env:NAME}: a variable of the producer's environment
	variableFile = "file" // ${file:PATH}: the content of a file
)

// loading reads what pipeline files name, and keeps how it was when it was read.
type loading struct {
	folder string // that names of files count from
	read   map[string]stamp
	values map[string]bool // the files that variables are of

	elsewhere bool     // secret files may be on another machine
	unread    []string // those that are
}

// at is the path of a file that is named in a pipeline file.
func (l *loading) at(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(l.folder, name)
}

// secret reads a webhook's secret, and tells whether every user of the machine may.
func (l *loading) secret(name string) (*hookSecret, bool, error) {
	path := l.at(name)
	if l.values[path] {
		return nil, false, errors.New("is used as a value, too, and would travel with each request: give the secret a file of its own")
	}
	l.read[path] = stampOf(path)
	s, exposed, err := readSecretFile(path)
	if err != nil && l.elsewhere {
		l.unread = append(l.unread, name)
		return unknownSecret(), false, nil
	}
	return s, exposed, err
}

var environmentForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// lookup is what a variable stands for. Errors don't show it.
func (l *loading) lookup(kind, name string) (value string, err error) {
	if kind == variableEnv {
		value, err = environment(name)
	} else {
		value, err = l.content(name)
	}
	if err == nil {
		err = checkPasted(value)
	}
	return value, err
}

func environment(name string) (string, error) {
	if !environmentForm.MatchString(name) {
		return "", errors.New("is not the name of an environment variable: letters, digits and _")
	}
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", &yamlfile.AbsentError{Text: "the environment variable is not set: set it where the producer runs"}
	}
	return value, checkValue(value)
}

// maxValue bounds a file with a value.
const maxValue = 64 << 10

func (l *loading) content(name string) (string, error) {
	if strings.TrimSpace(name) == "" {
		return "", errors.New("names no file")
	}
	path := l.at(name)
	l.read[path] = stampOf(path)
	if l.values == nil {
		l.values = map[string]bool{}
	}
	l.values[path] = true
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &yamlfile.AbsentError{Text: "the file does not exist: make it where the producer runs; relative names count from the folder of this file"}
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", errors.New("is not a file with a value in it")
	case info.Size() > maxValue:
		return "", fmt.Errorf("the file has more than %d bytes: is it the right one?", maxValue)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	value := strings.TrimRight(string(content), "\r\n")
	return value, checkValue(value)
}

// checkValue refuses what is no value of one line. Its errors leave it out.
func checkValue(value string) error {
	switch {
	case strings.HasPrefix(value, "\ufeff"):
		return errors.New("begins with a byte order mark: save it without")
	case !utf8.ValidString(value):
		return errors.New("is not UTF-8")
	case strings.ContainsAny(value, "\r\n"):
		return errors.New("has several lines: a value is one")
	case strings.ContainsFunc(value, unicode.IsControl):
		return errors.New("has a control character")
	}
	return nil
}
