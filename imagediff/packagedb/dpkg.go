package packagedb

import (
	"bytes"
	"fmt"
	"strings"
)

// Dpkg reads a status file, or a file of status.d, whose stanzas have no Status. Packages that are known and not installed are
// left out.
func Dpkg(b []byte) ([]Package, error) {
	var all packages
	var p Package
	var begun, gone bool
	end := func() error {
		was, installed := p, begun && !gone
		p, begun, gone = Package{}, false, false
		if !installed {
			return nil
		}
		return all.add(was)
	}
	for n := 1; len(b) > 0; n++ {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		if len(bytes.TrimSpace(line)) == 0 {
			if err := end(); err != nil {
				return nil, fmt.Errorf("above line %d: %w", n, err)
			}
			continue
		}
		if line[0] == ' ' || line[0] == '\t' || line[0] == '#' { // more of the field above
			continue
		}
		name, value, isField := bytes.Cut(line, []byte(":"))
		if !isField {
			return nil, fmt.Errorf("line %d is no field", n)
		}
		begun = true
		word := strings.TrimSpace(string(value[:min(len(value), maxWord+2)]))
		switch strings.ToLower(string(name[:min(len(name), maxWord)])) {
		case "package":
			p.Name = word
		case "version":
			p.Version = word
		case "architecture":
			p.Arch = word
		case "status":
			gone = !isInstalled(word)
		}
	}
	return all, end()
}

// isInstalled reads the three words of a status: what is wanted, whether it is broken, and how far it is (dpkg-query(1)).
func isInstalled(status string) bool {
	words := strings.Fields(status)
	return len(words) > 0 && words[len(words)-1] != "config-files" && words[len(words)-1] != "not-installed"
}
