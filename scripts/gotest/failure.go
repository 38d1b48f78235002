package main

import (
	"regexp"
	"slices"
	"strings"
)

var (
	frame    = regexp.MustCompile(`^=== (RUN|PAUSE|CONT|NAME|ATTR) `)
	verdict  = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): `)
	logged   = regexp.MustCompile(`^    +[^ ]+\.go:\d+: `)
	goOnWith = "        " // what goes on with a logged line
	closings = regexp.MustCompile(`(?m)^(ok  |FAIL|\?   )\t.*\n`)
)

// closing is go test's last line about a package.
func (t *packageTests) closing() string {
	return strings.Join(closings.FindAllString(t.test("").output.String(), -1), "")
}

// failureOf is all that a test has to say that failed, subtest by subtest, however they took turns.
// Of subtests that passed it leaves out what they logged, as go test without -v does; what they
// printed is kept, as it may be another's: a data race is printed where it was found.
func (t *packageTests) failureOf(test string) string {
	return t.show(func(name string) bool { return name == test || strings.HasPrefix(name, test+"/") })
}

// failure is all that a package has to say that failed and that was not shown yet, its own words last.
func (t *packageTests) failure() string {
	return t.show(func(name string) bool { return name != "" }) + t.show(func(name string) bool { return name == "" })
}

func (t *packageTests) show(which func(name string) bool) string {
	var b strings.Builder
	for _, o := range t.tests {
		if which(o.name) && (!o.shown || o.output.Len() > 0) { // something may be printed in its name after its end
			o.shown = true
			b.WriteString(o.failure())
			o.output.Reset()
		}
	}
	return b.String()
}

// failure is a test's output, its verdict first.
func (o *testOutput) failure() string {
	passed := o.result == "pass" || o.result == "skip"
	var lines []string
	first := ""
	inLog := false
	for line := range strings.Lines(o.output.String()) {
		inLog = logged.MatchString(line) || inLog && strings.HasPrefix(line, goOnWith)
		switch {
		case frame.MatchString(line), passed && inLog:
		case verdict.MatchString(line) && first == "":
			first = line
		default:
			lines = append(lines, line)
		}
	}
	if passed {
		first = ""
	}
	if o.name != "" && o.result == "" {
		first = "--- UNFINISHED: " + o.name + "\n"
	}
	return strings.Join(slices.Concat([]string{first}, lines), "")
}
