package settings

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/spf13/pflag"
)

// The kinds of flags that name something on this machine, as help shows them.
const (
	kindFile    = "FILE"
	kindFolder  = "FOLDER"
	kindProgram = "PROGRAM" // a path, a name to look for, or an address
)

// pathFlag is a flag that names a file, a folder or a program. In a settings file a relative
// one counts from that file's folder.
type pathFlag struct {
	to   *string
	kind string
}

// String is the path.
func (p pathFlag) String() string {
	if p.to == nil {
		return ""
	}
	return *p.to
}

// Set takes a path as it is.
func (p pathFlag) Set(s string) error {
	*p.to = s
	return nil
}

// Type names the kind in help.
func (p pathFlag) Type() string { return p.kind }

// from is a path as it stands in a file of a folder.
func (p pathFlag) from(folder, path string) string {
	named := p.kind == kindProgram && (strings.Contains(path, "://") || !strings.Contains(path, "/"))
	if path == "" || filepath.IsAbs(path) || named {
		return path
	}
	return filepath.Join(folder, path)
}

func pathVar(fs *pflag.FlagSet, kind string, to *string, name, value, usage string) {
	*to = value
	fs.Var(pathFlag{to, kind}, name, usage)
}

// FileVar is a flag that names a file.
func FileVar(fs *pflag.FlagSet, to *string, name, value, usage string) {
	pathVar(fs, kindFile, to, name, value, usage)
}

// FolderVar is a flag that names a folder.
func FolderVar(fs *pflag.FlagSet, to *string, name, value, usage string) {
	pathVar(fs, kindFolder, to, name, value, usage)
}

// checkedFlag is a text of a form.
type checkedFlag struct {
	to    *string
	kind  string
	check func(string) error
}

// String is the text.
func (c checkedFlag) String() string {
	if c.to == nil {
		return ""
	}
	return *c.to
}

// Set takes a text of the form.
func (c checkedFlag) Set(s string) error {
	if err := c.check(s); err != nil {
		return err
	}
	*c.to = s
	return nil
}

// Type names the kind in help.
func (c checkedFlag) Type() string { return c.kind }

// nameVar is a flag that names a fleet or a node.
func nameVar(fs *pflag.FlagSet, to *string, name, value, usage string) {
	*to = value
	fs.Var(checkedFlag{to, "NAME", func(s string) error { return messages.CheckName(name, s) }}, name, usage)
}

// CommitVar is a flag that names a whole git commit.
func CommitVar(fs *pflag.FlagSet, to *string, name, usage string) {
	fs.Var(checkedFlag{to, "COMMIT", messages.CheckCommit}, name, usage)
}

// prefixVar is the flag of the installation's prefix.
func prefixVar(fs *pflag.FlagSet, to *string, usage string) {
	fs.Var(checkedFlag{to, "PREFIX", func(s string) error {
		_, err := messages.NewSpace(s)
		return err
	}}, "prefix", usage)
}

// SpanVar is a flag that names a duration, of which none is negative. It may have days: 7d, 1d12h.
func SpanVar(fs *pflag.FlagSet, to *time.Duration, name string, value time.Duration, usage string) {
	*to = value
	fs.Var(spanFlag{to}, name, usage)
	if value == 0 { // what --help shows as no default, unlike 0s
		fs.Lookup(name).DefValue = "0"
	}
}

// spanFlag is a duration that is not negative.
type spanFlag struct{ to *time.Duration }

// String is the duration.
func (s spanFlag) String() string {
	if s.to == nil {
		return ""
	}
	return s.to.String()
}

// Set takes a duration that is not negative.
func (s spanFlag) Set(text string) error {
	d, err := parseSpan(text)
	if err != nil {
		return err
	}
	if d < 0 {
		return errors.New("it is less than nothing: give 0s or more")
	}
	*s.to = d
	return nil
}

// parseSpan reads a duration with a unit for each number. Days come first.
func parseSpan(text string) (time.Duration, error) {
	var days time.Duration
	rest := text
	if number, after, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil || n > int64(math.MaxInt64/day) || n < -int64(math.MaxInt64/day) || strings.HasPrefix(after, "-") {
			return 0, errNoSpan
		}
		if days, rest = time.Duration(n)*day, after; rest == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || days > 0 && days+d < days {
		return 0, errNoSpan
	}
	return days + d, nil
}

const day = 24 * time.Hour

// errNoSpan tells that a text is no duration.
var errNoSpan = errors.New("it is no number with a unit, such as 90s, 10m, 12h or 7d")

// Type names the kind in help.
func (s spanFlag) Type() string { return "duration" }

// numberFlag is a number that has a least value.
type numberFlag[T int | int64] struct {
	to    *T
	least T
}

// numberVar is a flag that names a number, least or more.
func numberVar[T int | int64](fs *pflag.FlagSet, to *T, name string, value, least T, usage string) {
	*to = value
	fs.Var(numberFlag[T]{to, least}, name, usage)
}

// String is the number.
func (n numberFlag[T]) String() string {
	if n.to == nil {
		return "0"
	}
	return strconv.FormatInt(int64(*n.to), 10)
}

// Set takes a number that is not below the least.
func (n numberFlag[T]) Set(text string) error {
	v, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		return fmt.Errorf("%q is no whole number", text)
	}
	if v < int64(n.least) {
		return fmt.Errorf("it is too few: give %d or more", n.least)
	}
	*n.to = T(v)
	return nil
}

// Type names the kind in help.
func (n numberFlag[T]) Type() string { return "int" }

// Labels is a flag of the form NAME=VALUE, given several times.
type Labels map[string]string

// String lists the labels.
func (l Labels) String() string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(l)) {
		out = append(out, k+"="+l[k])
	}
	return strings.Join(out, ",")
}

// Set adds one or more, comma-separated.
func (l Labels) Set(s string) error {
	for _, pair := range strings.Split(s, ",") {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			return fmt.Errorf("%q is not NAME=VALUE", pair)
		}
		l[k] = v
	}
	return nil
}

// Type names the flag's value in help.
func (Labels) Type() string { return "NAME=VALUE" }
