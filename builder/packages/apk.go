package packages

import (
	"errors"
	"regexp"
	"strings"
)

// apk asks apk.
func apk(path string) Manager {
	return Manager{
		Name:   "apk",
		Script: path + ` update && echo '` + asked + `' && ` + path + ` upgrade --simulate`,
		read:   readApk,
	}
}

// apkLine is a line of a simulation: "(1/3) Upgrading NAME (OLD -> NEW)", "(2/3) Installing NAME (NEW)", "(3/3) Purging NAME (OLD)".
var apkLine = regexp.MustCompile(`^\(\s*\d+/\d+\) (Upgrading|Downgrading|Replacing|Reinstalling|Installing|Purging) (\S+) \((\S+?)(?: -> (\S+?))?\)`)

// apkSource is a line of `apk update` about a repository: the address that is fetched, or what it has.
var apkSource = regexp.MustCompile(`(?m)^(fetch \S+| *\S*.*\[\S+\])\s*$`)

func readApk(out, errs string, status int) ([]Update, error) {
	refresh, said, err := answer(out, errs, status)
	if err != nil {
		return nil, err
	}
	if unfetched := lineWith(errs+"\n"+refresh, "WARNING:", "ERROR:", " unavailable, "); unfetched != "" {
		return nil, errors.New(unfetched)
	}
	if !apkSource.MatchString(refresh) {
		return nil, errors.New("the image names no source of packages")
	}
	var updates []Update
	for line := range strings.Lines(said) {
		m := apkLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		u := Update{Name: word(m[2]), Old: word(m[3]), New: word(m[4])}
		if m[1] == "Installing" {
			u.Old, u.New = "", word(m[3])
		}
		updates = append(updates, u)
	}
	return updates, nil
}
