package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// goTo writes a module with these files, and goes there.
func goTo(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example\n\ngo 1.24\n"
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
}

// tests is a test file of a package, with what it imports beside testing.
func tests(name, imports, body string) string {
	out := "package " + name + "\n\nimport \"testing\"\n"
	for i := range strings.FieldsSeq(imports) {
		out += "import \"" + i + "\"\n"
	}
	return out + body
}

func TestWhatARunSays(t *testing.T) {
	goTo(t, map[string]string{
		"none/none.go": "package none\n",
		"good/good_test.go": tests("good", "fmt", `
func TestOne(t *testing.T) { t.Log("logged by one that passed"); fmt.Println("printed where all passed") }
func TestTwo(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Skip("not now") }) }
`),
		"bad/bad_test.go": tests("bad", "fmt", `
func TestPasses(t *testing.T) { t.Log("logged by one that passed\nand goes on"); fmt.Println("printed by one that passed") }
func TestFails(t *testing.T) {
	t.Log("before")
	t.Run("sub", func(t *testing.T) { t.Parallel(); t.Error("the reason\nof two lines") })
	t.Run("other", func(t *testing.T) { t.Parallel(); fmt.Println("printed by a subtest") })
}
`),
		"broken/broken_test.go":   tests("broken", "", "func TestX(t *testing.T) { undefined() }\n"),
		"panics/panics_test.go":   tests("panics", "", "func TestPanics(t *testing.T) { panic(\"at the disco\") }\n"),
		"stopped/stopped_test.go": tests("stopped", "os", "func TestExits(t *testing.T) { os.Exit(3) }\n"),
	})
	var out strings.Builder
	status, err := run([]string{"-count=1", "-vet=off", "./none", "./good", "./bad", "./broken", "./panics", "./stopped"}, &out)
	if err != nil || status != 1 {
		t.Errorf("status %d, %v", status, err)
	}
	said := out.String()
	for _, want := range []string{
		"?   \texample/none\t[no test files]\n", "ok  \texample/good\t", "FAIL\texample/bad\t", "FAIL\texample/broken [build failed]\n", "FAIL\texample/panics\t", "FAIL\texample/stopped\t",
		"--- FAIL: TestFails (", ": before\n", "--- FAIL: TestFails/sub (", ": the reason\n        of two lines\n", "printed by one that passed\n", "printed by a subtest\n",
		"broken_test.go:4:28: undefined: undefined\n", "panic: at the disco", "goroutine ", "--- UNFINISHED: TestExits\n",
		" of 6 packages, ", "test: FAILED with status 1: 6 of 6 packages, 4 tests passed, 1 skipped, 3 FAILED, in ",
		"test:   package example/bad\n", "test:   test example/bad TestFails/sub\n", "test: TestFails of example/bad failed\n--- FAIL: TestFails (",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	for _, noise := range []string{"logged by one", "and goes on", "=== ", "PASS:", "printed where all passed", `"Action"`} {
		if strings.Contains(said, noise) {
			t.Errorf("it says %q", noise)
		}
	}
	if n := strings.Count(said, "the reason\n"); n != 1 {
		t.Errorf("it shows a failure %d times", n)
	}
	if t.Failed() {
		t.Log(said)
	}
}

func TestARunThatPasses(t *testing.T) {
	goTo(t, map[string]string{"good/good_test.go": tests("good", "", "func TestOne(t *testing.T) {}\n")})
	var out strings.Builder
	status, err := run([]string{"-count=1", "./good"}, &out)
	if err != nil || status != 0 || !strings.Contains(out.String(), "test: passed: 1 packages, 1 tests passed, in ") {
		t.Errorf("status %d, %v:\n%s", status, err, out.String())
	}
}

func TestARunThatNeverBegins(t *testing.T) {
	goTo(t, map[string]string{})
	var out strings.Builder
	status, err := run([]string{"-p=none", "./good"}, &out)
	if err != nil || status != 2 || !strings.Contains(out.String(), "test: FAILED with status 2: 0 of 1 packages") {
		t.Errorf("status %d, %v:\n%s", status, err, out.String())
	}
}

func TestHowManyPackagesAreTestedAtOnce(t *testing.T) {
	if got := atOnce([]string{"-race", "-p=3", "./a"}); got != nil {
		t.Errorf("beside a -p it adds %v", got)
	}
	if got := atOnce([]string{"-race", "-parallel=2", "./a"}); len(got) != 1 || !strings.HasPrefix(got[0], "-p=") {
		t.Errorf("it adds %v", got)
	}
	for text, want := range map[string]int{
		"MemTotal:       24684092 kB\nMemFree:        12291984 kB\nMemAvailable:   22000000 kB\n": 22000000, "": 0, "MemFree: 5 kB\n": 0,
	} {
		if got := available(text); got != want {
			t.Errorf("of %q %d KiB are available", text, got)
		}
	}
}

// heard is a line of go test, so many seconds after the start.
type heard struct {
	second int
	line   string
}

func TestWhatIsSaidWhileTestsRun(t *testing.T) {
	const e2e = module + "e2e"
	start := time.Unix(0, 0)
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	line := func(action, pkg, test string) string {
		b, err := json.Marshal(event{Action: action, Package: pkg, Test: test})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	took := func(pkg, test string, seconds float64) string {
		b, err := json.Marshal(event{Action: "pass", Package: pkg, Test: test, Elapsed: seconds})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		heard []heard
		at    int // when it says what runs; -1 where all has ended
		want  string
	}{
		"nothing yet": {nil, 20, "test:   … 0 of 3 packages, 20s: compiling\n"},
		"one test": {
			[]heard{{1, line("start", e2e, "")}, {1, line("run", e2e, "TestA")}, {4, line("pass", e2e, "TestA")}, {5, line("run", e2e, "TestB")}},
			60, "test:   … 0 of 3 packages, 1m0s: e2e (1 passed) in TestB for 55s\n",
		},
		"a subtest, and one that waits": {
			[]heard{{1, line("run", e2e, "TestA")}, {1, line("pause", e2e, "TestA")}, {2, line("run", e2e, "TestB")}, {3, line("run", e2e, "TestB/x")}},
			4, "test:   … 0 of 3 packages, 4s: e2e (0 passed) in TestB/x for 1s\n",
		},
		"more tests than fit a line": {
			[]heard{{0, line("run", e2e, "A")}, {0, line("run", e2e, "B")}, {0, line("run", e2e, "C")}, {0, line("cont", e2e, "D")}, {0, line("run", e2e, "E")}},
			1, "test:   … 0 of 3 packages, 1s: e2e (0 passed) in A for 1s, B for 1s, C for 1s, 2 more\n",
		},
		"two packages": {
			[]heard{{1, line("start", e2e, "")}, {1, line("start", module+"git", "")}, {1, line("run", module+"git", "TestG")}},
			2, "test:   … 0 of 3 packages, 2s: e2e (0 passed) in between tests; git (0 passed) in TestG for 1s\n",
		},
		"after a package": {
			[]heard{{1, line("run", e2e, "TestA")}, {2, line("pass", e2e, "TestA")}, {2, line("pass", e2e, "")}},
			9, "test:   1 of 3 packages, 1 tests passed, 2s\ntest:   … 1 of 3 packages, 9s: compiling\n",
		},
		"after the last package": {
			[]heard{{1, line("skip", "a", "")}, {1, line("skip", "b", "")}, {1, line("skip", "c", "")}}, 9,
			"test:   1 of 3 packages, 0 tests passed, 1s\ntest:   2 of 3 packages, 0 tests passed, 1s\ntest:   3 of 3 packages, 0 tests passed, 1s\n" +
				"test:   … 3 of 3 packages, 9s: ending\n",
		},
		"tests that took long, and one of a result that go test had": {
			[]heard{
				{1, line("run", e2e, "TestA")}, {8, took(e2e, "TestA", 7)}, {20, took(e2e, "TestB", 12)}, {20, took(e2e, "TestB/x", 12)}, {21, took(e2e, "TestC", 1)}, {22, line("pass", e2e, "")},
				{23, took(module+"git", "TestG", 30)}, {23, `{"Action":"output","Package":"` + module + `git","Output":"ok  \tgit\t(cached)\n"}`}, {23, line("pass", module+"git", "")},
			}, -1,
			"test:   1 of 3 packages, 4 tests passed, 22s\nok  \tgit\t(cached)\ntest:   2 of 3 packages, 5 tests passed, 23s\n" +
				"test:   e2e TestB took 12s\ntest:   e2e TestA took 7s\ntest: passed: 2 packages, 5 tests passed, in 23s\n",
		},
		"what is no event": {[]heard{{1, "go: a warning"}}, 2, "go: a warning\ntest:   … 0 of 3 packages, 2s: compiling\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			p := newProgress(&out, []string{"a", "b", "c"}, start)
			for _, h := range c.heard {
				p.line([]byte(h.line+"\n"), at(h.second))
			}
			if c.at < 0 {
				p.end(0, at(c.heard[len(c.heard)-1].second))
			} else {
				p.say(at(c.at))
			}
			if out.String() != c.want {
				t.Errorf("it says\n%swant\n%s", out.String(), c.want)
			}
		})
	}
}

func TestPackagesAreTheArgumentsThatAreNoFlags(t *testing.T) {
	if got := packages([]string{"-race", "-timeout=40m", "./a", "./b"}); len(got) != 2 || got[0] != "./a" {
		t.Errorf("%q", got)
	}
}

// A data race is printed while the one test runs, and may be the other's fault.
func TestARaceIsShownWhoeverPrintedIt(t *testing.T) {
	o := testOutput{name: "TestPasses", result: "pass"}
	const race = "==================\nWARNING: DATA RACE\nRead at 0x1 by goroutine 1:\n  f()\n      /x.go:1 +0x1\n"
	o.output.WriteString("=== RUN   TestPasses\n    x_test.go:1: logged\n        more\n" + race + "--- PASS: TestPasses (0.00s)\n")
	if got := o.failure(); got != race {
		t.Errorf("it shows\n%s", got)
	}
}
