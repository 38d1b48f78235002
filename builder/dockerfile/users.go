package dockerfile

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// users looks for a USER that nothing in the Dockerfile makes. Over scratch, with nothing copied or run, it is
// sure not to be there; else the base may have it.
func (f *file) users() {
	made := map[string]string{} // by stage, all that its steps say
	plain := map[string]bool{}  // stages over scratch that nothing was put into
	for _, s := range f.stages {
		base := strings.ToLower(s.BaseName)
		text, empty := made[base], base == "scratch" || plain[base]
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.RunCommand, *instructions.CopyCommand, *instructions.AddCommand:
				text += strings.Join(f.lines(c.Location()), "\n")
				empty = false
			case *instructions.UserCommand:
				f.user(c, text, empty)
			}
		}
		made[strings.ToLower(s.Name)], plain[strings.ToLower(s.Name)] = text, empty
	}
}

// user checks both parts of USER NAME:GROUP.
func (f *file) user(c *instructions.UserCommand, made string, empty bool) {
	line := lineIn(c.Location())
	name, group, _ := strings.Cut(c.User, ":")
	for i, who := range []string{name, group} {
		what, file := "user", "/etc/passwd"
		if i == 1 {
			what, file = "group", "/etc/group"
		}
		switch {
		case who == "" || who == "root" || strings.Trim(who, "0123456789") == "" || strings.Contains(who, "$") || strings.Contains(made, who) || strings.Contains(made, file):
		case empty:
			f.fault(line, fmt.Sprintf("there is no %s %s in an image that begins from scratch: no container of it could start", what, who), "give the number, or make "+file+" in the image")
		default:
			f.warn(line, fmt.Sprintf("nothing here makes the %s %s: no container of the image starts unless the base has it", what, who), fmt.Sprintf("make it in a RUN step before, with %sadd, or see that the base's %s has it", what, file))
		}
	}
}
