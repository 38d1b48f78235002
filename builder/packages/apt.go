package packages

import (
	"errors"
	"regexp"
	"strings"
)

// apt asks apt-get. A list that can't be fetched is an error by its option, and else a warning that older ones print.
func apt(path string) Manager {
	return Manager{
		Name: "apt",
		Script: path + ` -q -o APT::Update::Error-Mode=any -o Acquire::Retries=2 update && echo '` + asked + `' && ` +
			path + ` -q -s -o Debug::NoLocking=true dist-upgrade`,
		read: readApt,
	}
}

// aptLine is a line of a simulation: "Inst NAME [OLD] (NEW ORIGIN [ARCH])", without OLD where it is not there yet, or
// "Remv NAME [OLD]".
var aptLine = regexp.MustCompile(`^(Inst|Remv) (\S+)(?: \[([^\]\s]+)\])?(?: \((\S+))?`)

// aptSource begins a line of `apt-get update` about a list of packages.
var aptSource = regexp.MustCompile(`(?m)^(Hit|Get|Ign):\d+ `)

func readApt(out, errs string, status int) ([]Update, error) {
	refresh, said, err := answer(out, errs, status)
	if err != nil {
		return nil, err
	}
	if unfetched := lineWith(errs+"\n"+refresh, "W: Failed to fetch", "Some index files failed to download"); unfetched != "" {
		return nil, errors.New(unfetched)
	}
	if !aptSource.MatchString(refresh) {
		return nil, errors.New("the image names no source of packages")
	}
	var updates []Update
	for line := range strings.Lines(said) {
		if m := aptLine.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			u := Update{Name: word(m[2]), Old: word(m[3])}
			if m[1] == "Inst" {
				u.New = word(m[4])
			}
			updates = append(updates, u)
		}
	}
	return updates, nil
}
