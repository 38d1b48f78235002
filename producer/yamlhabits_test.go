package producer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

// TestYAMLAsPeopleWriteIt has forms that mean the same to everybody, and those that don't.
func TestYAMLAsPeopleWriteIt(t *testing.T) {
	fleet := func(rollout string) string { return item("    fleets: [{name: f, rollout: {" + rollout + "}}]") }
	for name, c := range map[string]struct {
		file string
		want string // of the error; "" where it is read
		see  func(p messages.Pipeline) bool
	}{
		"text without quotes":     {item("    branch: release/1.0"), "", func(p messages.Pipeline) bool { return p.Branch == "release/1.0" }},
		"text in single quotes":   {item("    branch: '1.0'"), "", func(p messages.Pipeline) bool { return p.Branch == "1.0" }},
		"text in double quotes":   {item(`    branch: "gr\u00fcn"`), "", func(p messages.Pipeline) bool { return p.Branch == "grün" }},
		"a branch called on":      {item("    branch: on"), "", func(p messages.Pipeline) bool { return p.Branch == "on" }},
		"a branch called no":      {item("    branch: no"), "", func(p messages.Pipeline) bool { return p.Branch == "no" }},
		"a branch called null":    {item("    branch: null"), "has no value", nil},
		"a branch that is a date": {item("    branch: 2020-01-02"), "put it in quotes", nil},
		"a folded line":           {item("    directory: >-\n      a/b"), "", func(p messages.Pipeline) bool { return p.Directory == "a/b" }},
		"a line end in text":      {item("    directory: |\n      a/b"), "directory: has several lines: write it on one", nil},
		"a space after text":      {item(`    directory: "a "`), "directory: has a space before or after it", nil},
		"a no-break space":        {item("    branch: main\u00a0"), "branch: has a space before or after it", nil},
		"arguments as written": {item("    build_args: {A: yes, B: 010, C: 1.10, D: 2020-01-02, E: 'x', F: True}"), "", func(p messages.Pipeline) bool {
			return fmt.Sprint(p.BuildArgs) == "map[A:yes B:010 C:1.10 D:2020-01-02 E:x F:True]"
		}},
		"an argument of nothing":    {item("    build_args: {A: }"), "build_args.A: has no value", nil},
		"yes for true":              {fleet("approval: yes"), `approval: the text "yes" where true or false was expected: write true`, nil},
		"off for false":             {fleet("approval: Off"), "write false", nil},
		"true in quotes":            {fleet("approval: 'true'"), "write true, without quotes", nil},
		"TRUE":                      {fleet("approval: TRUE"), "", func(p messages.Pipeline) bool { return p.Fleets[0].Policy.Approval }},
		"octal":                     {item("    attempts: 010"), "attempts: 010 is octal to some readers and decimal to others: leave out the 0", nil},
		"octal of YAML 1.2":         {item("    attempts: 0o10"), "attempts: 0o10 is not a whole number from 1 to 100: write it in plain digits", nil},
		"hexadecimal":               {item("    attempts: 0x10"), "write it in plain digits", nil},
		"digits in groups":          {fleet("keep: 1_0"), "write it in plain digits", nil},
		"a number in quotes":        {item("    attempts: '3'"), "remove the quotes", nil},
		"a number with a point":     {item("    attempts: 3.0"), "write it in plain digits", nil},
		"a duration in quotes":      {item("    timeout: '90s'"), "", func(p messages.Pipeline) bool { return p.Timeout == messages.Duration(90e9) }},
		"a duration without a unit": {item("    timeout: 90"), `duration "90" is not a number with a unit`, nil},
		"a duration of days":        {item("    retry_for: 1d"), "write them in hours, such as 24h", nil},
		"a clock's duration":        {item("    timeout: 1:30"), `duration "1:30" is not a number with a unit`, nil},
		"an alias of a value":       {item("    hooks_dir: &h /x", "    directory: sub", "  - {name: b, repository: 'https://git.example.com/b.git', image: example.com/b, hooks_dir: *h}"), "", func(p messages.Pipeline) bool { return p.HooksDir == "/x" }},
		"a merge key":               {item("    <<: {branch: x}"), ":6: pipelines[0]: merge keys (<<) are not read", nil},
		"a merge of arguments":      {item("    build_args: {<<: {A: b}}"), ":6: pipelines[0].build_args: merge keys (<<) are not read", nil},
		"a field twice":             {item("    branch: a", "    branch: b"), ":7: pipelines[0].branch: is given twice: remove one of them (the other is at line 6)", nil},
		"an argument twice":         {item("    build_args: {A: b, A: c}"), "build_args.A: is given twice", nil},
		"Windows line ends":         {strings.ReplaceAll(item("    branch: a"), "\n", "\r\n"), "", func(p messages.Pipeline) bool { return p.Branch == "a" }},
		"a byte order mark":         {"\ufeff" + item(), "", func(p messages.Pipeline) bool { return p.Name == "base" }},
		"a tab":                     {item("\tbranch: a"), ":6: is not YAML: found a tab character that violates indentation: there is a tab in the indentation: put spaces in its place", nil},
		"a no-break space before":   {item("\u00a0   branch: a"), `:6: unknown field "\u00a0`, nil},
		"a field of its own kind":   {item("    branch: !!int 3"), "the number 3 where text was expected", nil},
		"binary":                    {item("    branch: !!binary bWFpbg=="), "a binary, where text was expected", nil},
		"a bomb of aliases":         {bomb(), "more than 50000 values, counting aliases each time", nil},
		"an alias of itself":        {item("    fleets: &f [*f]"), "a list where fields were expected", nil},
		"ten thousand levels":       {item("    directory: " + strings.Repeat("[", 10_000)), "is not YAML", nil},
		"two documents":             {item() + "---\n" + item(), "a second YAML document begins here", nil},
		"a frontend as argument":    {item("    build_args: {BUILDKIT_SYNTAX: x}"), "BUILDKIT_SYNTAX would replace the Dockerfile frontend", nil},
		"a Dockerfile of no name":   {item("    dockerfile: ''"), `:6: pipelines[0].dockerfile: is empty`, nil},
		"a trial's network":         {fleet("trial: {network: a b}"), `trial.network: "a b" is not the name of a Docker network`, nil},
		"several things of a kind":  {item("    platform: x", "    dockerfile: ../x"), `:7: pipelines[0].dockerfile: "../x" leaves`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := LoadPipelines(writeFile(t, c.file))
			switch {
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v; want %q", err, c.want)
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want == "" && !c.see(p.All()[0]):
				t.Errorf("read as %+v", p.All()[0])
			}
		})
	}
}

// bomb is a file of 25 KB that has 50,000 values by its aliases.
func bomb() string {
	var b strings.Builder
	b.WriteString(item("    secrets: &s ["))
	for i := range 250 {
		fmt.Fprintf(&b, "s%d, ", i)
	}
	b.WriteString("]\n")
	for i := range 250 {
		fmt.Fprintf(&b, "  - {name: p%d, repository: 'https://git.example.com/b.git', image: example.com/b, secrets: *s}\n", i)
	}
	return b.String()
}
