package exec_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/exec"
	"github.com/fenceline/fenceline/fence/fencetest"
)

// program writes a script and returns its path.
func program(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func commands(t *testing.T, c exec.Config) *exec.Commands {
	t.Helper()
	out, err := exec.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// fileStore keeps the value in a file, with a lock of the host. What stands in the file "mode" is how it
// fails.
const fileStore = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
verb=$1 fleet=$2
mode=$(cat mode 2>/dev/null)
case $mode in
away) echo "the store does not answer" >&2; exit 1 ;;
stall) sleep 3600 ;;
esac
if [ "$verb" = get ]; then
	cat "$fleet" 2>/dev/null
	exit 0
fi
exec 9>lock
flock 9
[ "$(cat "$fleet" 2>/dev/null)" = "$4" ] || exit 75
echo "$3" >"$fleet.new" && mv "$fleet.new" "$fleet"
if [ "$mode" = lose ]; then exit 1; fi
`

func TestConformance(t *testing.T) {
	fencetest.Run(t, func(t *testing.T) fencetest.Store {
		dir := t.TempDir()
		script := program(t, dir, "store", fileStore)
		c := commands(t, exec.Config{Get: script + " get {fleet}", Set: script + " set {fleet}"})
		in := func(mode string) func() func() {
			return func() func() {
				if err := os.WriteFile(filepath.Join(dir, "mode"), []byte(mode), 0o600); err != nil {
					t.Fatal(err)
				}
				return func() { _ = os.Remove(filepath.Join(dir, "mode")) }
			}
		}
		return fencetest.Store{
			Open: func() fence.Backend { return c.Fleet("default") },
			Stranger: func(value string) {
				file := filepath.Join(dir, "default")
				if value == "" {
					_ = os.Remove(file)
					return
				}
				if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			Away: in("away"), Stall: in("stall"), LoseAnswer: in("lose"),
		}
	})
}

// TestBadCommands has commands that do what they must not, and what is said of each.
func TestBadCommands(t *testing.T) {
	dir := t.TempDir()
	sh := func(text string) string { return "sh -c '" + text + "'" }
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ get, says string }{
		"it is missing":                {"/nowhere/get", "the program /nowhere/get is not here"},
		"it is not in PATH":            {"no-such-program-at-all", "no-such-program-at-all is not here"},
		"its interpreter is missing":   {program(t, dir, "odd", "#!/nowhere/sh\n"), "its first line names"},
		"it may not be run":            {plain, "chmod +x"},
		"it is no program":             {program(t, dir, "garbage", "no shebang\n"), "begin a script with #!"},
		"it fails":                     {sh("echo one >&2; echo two >&2; exit 3"), "ended with exit status 3: one two"},
		"it fails without a word":      {sh("exit 4"), "exit status 4, and said nothing about why"},
		"it says why on its output":    {sh("echo because; exit 4"), "exit status 4: because"},
		"it orders the terminal":       {sh(`printf "\033[31mred\007" >&2; exit 1`), "exit status 1: [31mred"},
		"it says what is no UTF-8":     {sh(`printf "\377\376x" >&2; exit 1`), "exit status 1: \uFFFDx"},
		"it prints two lines":          {sh("echo a; echo b"), "more than one line"},
		"it prints a sentence":         {sh("echo no such key"), `"no such key" is not the name of an image`},
		"it prints control characters": {sh(`printf "a\000b"`), `"a\x00b" is not the name`},
		"it prints without end":        {"yes", "printed more than 65536 bytes"},
		"it complains without end":     {sh("yes >&2"), "printed more than 65536 bytes"},
		"it leaves a child":            {sh("echo a; sleep 3600 >/dev/null 2>&1 &"), "left something running"},
		"a child holds its output":     {sh("echo a; sleep 3600 &"), "left something running"},
		"it is killed":                 {sh("kill -9 $$"), "signal: killed"},
		"it hangs":                     {"sleep 3600", "had not ended in time and was killed"},
		"it hangs and takes no TERM":   {sh(`trap "" TERM INT; echo here >&2; while :; do sleep 1; done`), "was killed: here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit := time.Minute
			if strings.Contains(name, "hangs") {
				limit = 500 * time.Millisecond
			}
			get := func() error {
				_, err := commands(t, exec.Config{Get: c.get, Set: "true", Limit: limit}).Fleet("default").Get(t.Context())
				return err
			}
			err := get()
			for err != nil && limit < time.Minute && !strings.Contains(err.Error(), c.says) { // a busy machine needs longer to get there
				limit *= 2
				err = get()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.ContainsAny(err.Error(), "\x1b\x07\n\x00") {
				t.Errorf("it says %q, not %q", fmt.Sprint(err), c.says)
			}
		})
	}
}

func TestGoodCommands(t *testing.T) {
	t.Setenv("FENCELINE_PASSWORD", "secret")
	dir := t.TempDir()
	wrote := filepath.Join(dir, "wrote")
	for name, c := range map[string]struct{ get, want string }{
		"nothing is set":               {"true", ""},
		"an empty line":                {"echo", ""},
		"a value without a line's end": {"printf exampleco/newimg:1", "exampleco/newimg:1"},
		"a value of DOS":               {`printf 'exampleco/newimg:1\r\n'`, "exampleco/newimg:1"},
		"a warning beside it":          {"sh -c 'echo WARNING >&2; echo a/b'", "a/b"},
		"a shell's pipe":               {"sh -c 'echo a/b | cat'", "a/b"},
		"the fleet's name":             {"echo a/{fleet}", "a/production"},
		"the fleet in its environment": {`sh -c 'echo a/$FENCELINE_FLEET$FENCELINE_PASSWORD'`, "a/production"},
		"quotes":                       {`printf "%s" 'a/b'`, "a/b"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := commands(t, exec.Config{Get: c.get, Set: "true"}).Fleet("production").Get(t.Context())
			if err != nil || got.Value != c.want || string(got.Revision) != c.want {
				t.Errorf("it is %+v, %v", got, err)
			}
		})
	}
	set := commands(t, exec.Config{Get: "true", Set: `sh -c 'printf "%s|" "$@" >` + wrote + `' set {fleet}`})
	if _, err := set.Fleet("production").Set(t.Context(), "a/b", ""); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(wrote); string(got) != "production|a/b||" {
		t.Errorf("the set command got %q", got)
	}
}

func TestConflict(t *testing.T) {
	c := commands(t, exec.Config{Get: "true", Set: "sh -c 'exit 75'"})
	if _, err := c.Fleet("default").Set(t.Context(), "a/b", "c/d"); !errors.Is(err, fence.ErrConflict) {
		t.Errorf("it is %v", err)
	}
}

func TestCommandLines(t *testing.T) {
	for line, says := range map[string]string{
		"": "is empty", "  ": "is empty", "a | b": "takes a shell", "a && b": "takes a shell", "a > b": "takes a shell", "A=1 b": "takes a shell",
		"a $HOME": "takes a shell", "a `id`": "takes a shell", "a $(id)": "takes a shell", `a "$x"`: "takes a shell", "a &": "takes a shell", "a; b": "takes a shell",
		"a 'b": "can't be read", "a\nb": "takes a shell", "! a": "takes a shell", "{ a; }": "takes a shell", "# a": "takes a shell",
	} {
		var field *exec.FieldError
		if _, err := exec.New(exec.Config{Get: line, Set: "true"}); !errors.As(err, &field) || field.Field != exec.FieldGet || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", line, err)
		}
		if _, err := exec.New(exec.Config{Get: "true", Set: line}); !errors.As(err, &field) || field.Field != exec.FieldSet {
			t.Errorf("%q: %v", line, err)
		}
	}
	for _, c := range []struct {
		get, set string
		sole     bool
	}{{"a", "b", true}, {"a {fleet}", "b", true}, {"a", "b {fleet}", true}, {"a {fleet}", "b x-{fleet}", false}} {
		if got := commands(t, exec.Config{Get: c.get, Set: c.set}).Sole(); got != c.sole {
			t.Errorf("%q, %q: sole is %v", c.get, c.set, got)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct{ get, set, says string }{
		{"true", "true", ""}, {"true", "/nowhere/set", "/nowhere/set is not here"}, {"/nowhere/get", "true", "/nowhere/get is not here"},
		{"false", "true", "exit status 1"},
	} {
		err := commands(t, exec.Config{Get: c.get, Set: c.set}).Check(t.Context(), "default")
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s, %s: %v", c.get, c.set, err)
		}
	}
}

// TestNothingIsLeft has a set command that hangs with a child which would write late.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	pids := filepath.Join(dir, "pids")
	c := commands(t, exec.Config{Get: "true", Set: `sh -c 'sh -c "echo \$\$ >>` + pids + `; sleep 3600" & echo $$ >>` + pids + `; wait'`})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := c.Fleet("default").Set(ctx, "a/b", "")
		ended <- err
	}()
	var said []byte
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for strings.Count(string(said), "\n") < 2 { // both run
		select {
		case <-tick.C:
			said, _ = os.ReadFile(pids)
		case err := <-ended:
			t.Fatalf("it ended with %v: %s", err, said)
		}
	}
	cancel()
	if err := <-ended; err == nil || errors.Is(err, fence.ErrConflict) {
		t.Fatalf("it gave %v", err)
	}
	late := time.After(time.Minute)
	for _, pid := range strings.Fields(string(said)) {
		for { // one that was killed takes a moment to die, and does nothing in it
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			if err != nil || strings.Contains(string(stat), ") Z ") || strings.Contains(string(stat), ") X ") {
				break
			}
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("process %s lives: %s", pid, stat)
			}
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, line := range []string{"a b", `a 'b c' "d"`, "a $(b)", "a\\ b", "a <(b)", "((a))", "a {b,c}", "~/x *", "\x00"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if c, err := exec.New(exec.Config{Get: line, Set: "true"}); err == nil && c == nil {
			t.Error("nothing, and no error")
		}
	})
}
