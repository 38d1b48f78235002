package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// module begins the names of all packages, and is left out where people read them.
const module = "github.com/fenceline/fenceline/"

// mostNamed bounds how many tests a line names.
const mostNamed = 3

// mostLong bounds how many tests are named at the end for the time that they took, and long is what they took at least.
const (
	mostLong = 10
	long     = 5 * time.Second
)

// progress is how far a run of go test is.
type progress struct {
	out     io.Writer
	start   time.Time
	total   int             // packages that there are to test
	open    []*packageTests // packages whose tests run, in the order in which they began
	done    int             // packages
	passed  int             // tests, and so the following
	skipped int
	failed  []string
	broken  []string // packages
	took    []tookTest
}

// packageTests are the tests of one package.
type packageTests struct {
	name    string
	passed  int
	running []runningTest
	took    []tookTest
	tests   []*testOutput // in the order in which they began; what belongs to no test is in one without a name
}

type runningTest struct {
	name  string
	since time.Time
}

// tookTest is a test that took long.
type tookTest struct {
	name string
	time time.Duration
}

// testOutput is what a test printed, and how it ended: pass, skip, fail or, when it never did, "".
type testOutput struct {
	name, result string
	output       strings.Builder
	shown        bool
}

func newProgress(out io.Writer, packages []string, now time.Time) *progress {
	return &progress{out: out, start: now, total: len(packages)}
}

// take takes what happened.
func (p *progress) take(e event, now time.Time) {
	switch {
	case e.Action == "build-output":
		fmt.Fprint(p.out, e.Output)
	case e.Package == "": // a build's end, which its package tells, too
	case e.Test == "":
		p.takePackage(e, now)
	default:
		p.takeTest(p.of(e.Package), e, now)
	}
}

func (p *progress) of(name string) *packageTests {
	for _, t := range p.open {
		if t.name == name {
			return t
		}
	}
	t := &packageTests{name: name}
	p.open = append(p.open, t)
	return t
}

func (p *progress) takePackage(e event, now time.Time) {
	t := p.of(e.Package)
	switch e.Action {
	case "output":
		t.test("").output.WriteString(e.Output)
	case "pass", "fail", "skip":
		p.open = slices.DeleteFunc(p.open, func(other *packageTests) bool { return other == t })
		p.done++
		if e.Action == "fail" {
			p.broken = append(p.broken, short(t.name))
			fmt.Fprint(p.out, t.failure())
		} else {
			fmt.Fprint(p.out, t.closing())
		}
		if !strings.Contains(t.closing(), "(cached)") {
			p.took = append(p.took, t.took...)
		}
		fmt.Fprintf(p.out, "test:   %d of %d packages, %s, %s\n", p.done, p.total, p.counts(), since(p.start, now))
	}
}

func (p *progress) takeTest(t *packageTests, e event, now time.Time) {
	switch e.Action {
	case "run", "cont":
		t.running = append(t.running, runningTest{e.Test, now})
		t.test(e.Test)
		return
	case "output":
		t.test(e.Test).output.WriteString(e.Output)
		return
	case "pass":
		t.passed++
		p.passed++
	case "skip":
		p.skipped++
	case "fail":
		p.failed = append(p.failed, short(t.name)+" "+e.Test)
		if !strings.Contains(e.Test, "/") {
			t.test(e.Test).result = e.Action
			fmt.Fprintf(p.out, "test: %s of %s failed\n%s", e.Test, short(t.name), t.failureOf(e.Test))
		}
	}
	// Ended, or paused for the tests that are not parallel.
	t.running = slices.DeleteFunc(t.running, func(r runningTest) bool { return r.name == e.Test })
	if e.Action == "pause" {
		return
	}
	t.test(e.Test).result = e.Action
	if took := time.Duration(e.Elapsed * float64(time.Second)); took >= long && !strings.Contains(e.Test, "/") {
		t.took = append(t.took, tookTest{short(t.name) + " " + e.Test, took})
	}
}

func (t *packageTests) test(name string) *testOutput {
	for _, o := range slices.Backward(t.tests) {
		if o.name == name {
			return o
		}
	}
	o := &testOutput{name: name}
	t.tests = append(t.tests, o)
	return o
}

// say says what runs.
func (p *progress) say(now time.Time) {
	var running []string
	for _, t := range p.open {
		running = append(running, t.doing(now))
	}
	switch {
	case len(running) > 0:
	case p.done < p.total:
		running = []string{"compiling"}
	default:
		running = []string{"ending"}
	}
	fmt.Fprintf(p.out, "test:   … %d of %d packages, %s: %s\n", p.done, p.total, since(p.start, now), strings.Join(running, "; "))
}

// doing names the package and those of its running tests that wait for no subtest.
func (t *packageTests) doing(now time.Time) string {
	var names []string
	for _, r := range t.running {
		if !slices.ContainsFunc(t.running, func(other runningTest) bool { return strings.HasPrefix(other.name, r.name+"/") }) {
			names = append(names, fmt.Sprintf("%s for %s", r.name, since(r.since, now)))
		}
	}
	if more := len(names) - mostNamed; more > 0 {
		names = append(names[:mostNamed], fmt.Sprintf("%d more", more))
	}
	if len(names) == 0 {
		names = []string{"between tests"}
	}
	return fmt.Sprintf("%s (%d passed) in %s", short(t.name), t.passed, strings.Join(names, ", "))
}

// end says which tests took longest, and how it all ended, with go test's exit status.
func (p *progress) end(status int, now time.Time) {
	took := since(p.start, now)
	slices.SortStableFunc(p.took, func(a, b tookTest) int { return cmp.Compare(b.time, a.time) })
	for _, t := range p.took[:min(len(p.took), mostLong)] {
		fmt.Fprintf(p.out, "test:   %s took %s\n", t.name, t.time.Round(time.Second))
	}
	if status == 0 {
		fmt.Fprintf(p.out, "test: passed: %d packages, %s, in %s\n", p.done, p.counts(), took)
		return
	}
	fmt.Fprintf(p.out, "test: FAILED with status %d: %d of %d packages, %s, in %s\n", status, p.done, p.total, p.counts(), took)
	for _, name := range p.broken {
		fmt.Fprintf(p.out, "test:   package %s\n", name)
	}
	for _, name := range p.failed {
		fmt.Fprintf(p.out, "test:   test %s\n", name)
	}
}

// counts are of tests, with their subtests.
func (p *progress) counts() string {
	out := fmt.Sprintf("%d tests passed", p.passed)
	if p.skipped > 0 {
		out += fmt.Sprintf(", %d skipped", p.skipped)
	}
	if len(p.failed) > 0 {
		out += fmt.Sprintf(", %d FAILED", len(p.failed))
	}
	return out
}

func short(name string) string { return strings.TrimPrefix(name, module) }

func since(start, now time.Time) string { return now.Sub(start).Round(time.Second).String() }
