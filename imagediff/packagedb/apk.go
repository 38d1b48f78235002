package packagedb

import (
	"bytes"
	"fmt"
)

// Apk reads a database of installed packages: a line for each field, a letter and a colon before it, and an empty line after
// each package (apk-installed in the manual of apk-tools).
func Apk(b []byte) ([]Package, error) {
	var all packages
	var p Package
	begun := false
	end := func() error {
		was, any := p, begun
		p, begun = Package{}, false
		if !any {
			return nil
		}
		return all.add(was)
	}
	for n := 1; len(b) > 0; n++ {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			if err := end(); err != nil {
				return nil, fmt.Errorf("above line %d: %w", n, err)
			}
			continue
		}
		if len(line) < 2 || line[1] != ':' {
			return nil, fmt.Errorf("line %d is no field", n)
		}
		begun = true
		word := string(line[2:min(len(line), maxWord+4)])
		switch line[0] {
		case 'P':
			p.Name = word
		case 'V':
			p.Version = word
		case 'A':
			p.Arch = word
		}
	}
	return all, end()
}
