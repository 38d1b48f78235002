package packages

import (
	"errors"
	"fmt"
	"strings"
)

// dnf asks dnf, of either generation, whose exit status tells whether there are updates.
func dnf(path string) Manager {
	return Manager{Name: "dnf", Script: path + ` -q --refresh check-update`, read: readDnf}
}

// yum asks the yum from before dnf, or dnf by that name.
func yum(path string) Manager {
	return Manager{Name: "yum", Script: path + ` -q clean expire-cache && ` + path + ` -q check-update`, read: readDnf}
}

// statusUpdates is the exit status of check-update where there are some.
const statusUpdates = 100

func readDnf(out, errs string, status int) ([]Update, error) {
	if status != 0 && status != statusUpdates {
		return nil, fmt.Errorf("it ended with status %d: %s", status, lastLine(errs, out))
	}
	unfetched := lineWith(errs+"\n"+out, "Ignoring repositories", "Errors during downloading metadata", "Failed to download metadata", "Cannot download repomd.xml", "no enabled repo")
	if unfetched != "" {
		return nil, errors.New(unfetched)
	}
	if status == 0 {
		return nil, nil
	}
	updates := dnfList(out)
	if len(updates) == 0 {
		return nil, errors.New("it says that there are updates, and names none")
	}
	return updates, nil
}

// dnfList reads lines of "NAME.ARCH VERSION REPOSITORY", of which a long one is wrapped after its name, or its version.
func dnfList(out string) []Update {
	var updates []Update
	var fields []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "Obsoleting ") { // what comes then is not in the list again
			break
		}
		more := strings.Fields(line)
		wrapped := len(more) > 0 && strings.TrimLeft(line, " \t") != line
		if !wrapped {
			fields = nil
		}
		fields = append(fields, more...)
		if len(fields) == 3 && strings.Contains(fields[0], ".") {
			name := fields[0][:strings.LastIndex(fields[0], ".")]
			updates = append(updates, Update{Name: word(name), New: word(fields[1])})
			fields = nil
		}
	}
	return updates
}
