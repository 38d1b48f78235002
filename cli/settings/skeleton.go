package settings

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// toFillIn are the settings that every installation has to give: placeholders, which no server and
// no fleet is called, so that a file that nobody filled in is told from one that works.
func toFillIn(role string) map[string]string {
	fill := map[string]string{"nats": "nats://CORE:4222", "user": role, "password-file": role + ".password"}
	if role == RoleDistributor {
		fill["user"], fill["fleet"] = "FLEET.NODE", "FLEET"
	}
	return fill
}

// Skeleton is a settings file of a role, to be written to path, with all that there is: what is
// needed to fill in, and the rest as comments.
func Skeleton(role, path string) string {
	fill := toFillIn(role)
	var needs, rest strings.Builder
	Flags(role).VisitAll(func(f *pflag.Flag) {
		switch value, ok := fill[f.Name]; {
		case f.Name == FileFlag:
		case ok:
			fmt.Fprintf(&needs, "\n# %s\n%s: %s\n", Meaning(f), f.Name, value)
		default:
			rest.WriteString(commented(f))
		}
	})
	return fmt.Sprintf(`# Settings of 'fenceline run %s'. Each line is a flag of it, which would win over the line here.
# Paths count from this folder. Check it with: fenceline doctor %s --settings %s
`, role, role, path) + needs.String() + "\n# What can be left out:\n" + rest.String()
}

// commented is a setting as a comment, with its default, or with what is to be written there.
func commented(f *pflag.Flag) string {
	value, words := DefaultOf(f)
	text := Meaning(f)
	if words != "" {
		text += " (default: " + words + ")"
	}
	if value == "" {
		value = strings.ToUpper(f.Value.Type())
		switch f.Value.Type() {
		case "string":
			value = "TEXT"
		case "stringSlice":
			value = "[HOST:PORT]"
		case kindHost, kindProtocol, kindBlock, kindGroup, kindScope:
			value = "[" + value + "]"
		case Labels{}.Type():
			value = "{NAME: VALUE}"
		}
	}
	return fmt.Sprintf("\n# %s\n#%s: %s\n", text, f.Name, value)
}
