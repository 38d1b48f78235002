package kato_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/kato"
	"github.com/fenceline/fenceline/fence/kato/katotest"
)

const fresh = `{"docker": {"image": "stackato/stack/alsek"}}`

// TestKatoThatFailsIsExplained: cause and fix, nothing secret, and the setting as it was.
func TestKatoThatFailsIsExplained(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		says   []string
	}{
		"an exit status with a reason": {`echo "WARNING: Assumed type string" >&2; echo "ERROR: redis at redis://:secret@10.0.0.1:7474 refuses" >&2; exit 3`,
			[]string{"exit status 3", "ERROR: redis at redis://…@10.0.0.1:7474 refuses"}},
		"a reason on standard output":    {`echo "no such component"; exit 1`, []string{"exit status 1: no such component"}},
		"no reason":                      {`exit 1`, []string{"it said nothing about why"}},
		"a reason without an end":        {`yes "control \033[2J and $(printf '\377') bytes" | head -c 100000 >&2; exit 1`, []string{"exit status 1: …"}},
		"a password by sudo":             {`(exec 3</dev/tty) 2>"$dir/no-terminal" || { echo "sudo: a terminal is required to read the password" >&2; exit 1; }; read x </dev/tty`, []string{"asks for a password", "stackato"}},
		"a password on standard input":   {`printf "Password: " >&2; read x || exit 1; exec "$real" "$@"`, []string{"asks for a password"}},
		"garbage":                        {`head -c 2000 /dev/zero`, []string{"no JSON document", `begins with "\x00\x00`}},
		"more than it can have to say":   {`exec yes`, []string{"more than 1048576 bytes"}},
		"more errors than anybody reads": {`exec yes >&2`, []string{"more than 1048576 bytes"}},
		"another component":              {`exec "$real" config get -j other`, []string{"another component"}},
		"a program that isn't there":     {`exec /no/such/kato`, []string{"exit status 127", "give the whole path of kato"}},
		"a signal":                       {`kill -SEGV $$`, []string{"segmentation fault"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := katotest.New(t, fresh)
			k.Run("config", "set", "other", "password", "secret")
			k.Fails(c.script)
			_, err := on(k).Get(t.Context())
			_, setErr := on(k).Set(t.Context(), "exampleco/newimg", "")
			if err == nil || setErr == nil {
				t.Fatalf("reading gave %v, setting %v", err, setErr)
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("error %q does not say %q", err, says)
				}
			}
			if strings.Contains(err.Error(), "secret") || len(err.Error()) > 1000 {
				t.Errorf("the error shows too much: %q", err)
			}
			if got := k.Run("config", "get", "fence", "docker/image"); got != "stackato/stack/alsek" {
				t.Errorf("it is set to %q", got)
			}
		})
	}
}

func TestAProgramThatCantBeRunIsExplained(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte{1, 2, 3}, 0o700); err != nil {
		t.Fatal(err)
	}
	for program, says := range map[string]string{
		"no-such-kato": "give its whole path", filepath.Join(dir, "kato"): "give its whole path",
		file: "may not be run", dir: "may not be run", empty: "exec format error",
	} {
		err := kato.New(kato.Config{Program: program, LockFile: filepath.Join(dir, "lock")}).Check(t.Context())
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v does not say %q", program, err, says)
		}
		var field *kato.FieldError
		if says != "exec format error" && (!errors.As(err, &field) || field.Field != kato.FieldProgram) {
			t.Errorf("%s: error %v names no field", program, err)
		}
	}
}

// TestACallThatHangsIsEndedWithAllItStarted: at the limit, by a signal that can't be ignored.
func TestACallThatHangsIsEndedWithAllItStarted(t *testing.T) {
	k := katotest.New(t, fresh)
	k.Fails(`trap '' TERM INT HUP
	(trap '' TERM INT HUP; sleep 600 & echo $! >"$dir/grandchild"; wait) &
	until [ -s "$dir/grandchild" ]; do :; done
	echo $$ >"$dir/leader"
	wait; sleep 600`)
	for limit := time.Second; k.File("leader") == "" && limit < time.Minute; limit *= 2 { // a busy machine needs longer to get there
		_, err := kato.New(kato.Config{Program: k.Program, LockFile: k.LockFile(), Limit: limit}).Get(t.Context())
		if err == nil || !strings.Contains(err.Error(), "had not ended after "+limit.String()+", and was killed") {
			t.Fatalf("error %v", err)
		}
	}
	gone(t, k, "leader", "grandchild")
}

// TestWhatKatoLeavesBehindIsEnded: children in its group, which hold its outputs open, cost nothing; one
// that left the group costs no answer.
func TestWhatKatoLeavesBehindIsEnded(t *testing.T) {
	k := katotest.New(t, fresh)
	k.Fails(`sleep 600 & echo $! >"$dir/left"; exec "$real" "$@"`)
	set(t, on(k), "exampleco/newimg")
	gone(t, k, "left")
	k.Fails(`setsid sleep 600 & echo $! >"$dir/away"; exec "$real" "$@"`)
	defer func() {
		if pid, err := strconv.Atoi(k.File("away")); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}()
	if got, err := on(k).Get(t.Context()); err != nil || got.Value != "exampleco/newimg" {
		t.Fatalf("read %+v, error %v", got, err)
	}
}

// gone waits until processes are no more, whose numbers are in files.
func gone(t *testing.T, k *katotest.Cluster, files ...string) {
	t.Helper()
	deadline := time.After(time.Minute)
	for _, file := range files {
		pid, err := strconv.Atoi(k.File(file))
		if err != nil {
			t.Fatalf("%s has no process: %v", file, err)
		}
		for alive(pid) {
			select {
			case <-deadline:
				syscall.Kill(pid, syscall.SIGKILL)
				t.Fatalf("%s (%d) is still there", file, pid)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// alive tells whether a process runs: one that ended and waits for its parent doesn't.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// TestTheEndOfAContextEndsTheCall: the controller's own bound, which is shorter than its lease.
func TestTheEndOfAContextEndsTheCall(t *testing.T) {
	k := katotest.New(t, fresh)
	k.Fails(`echo $$ >"$dir/leader.new"; mv "$dir/leader.new" "$dir/leader"; exec sleep 600`)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	lost := errors.New("the lease is lost")
	done := make(chan error, 1)
	go func() {
		_, err := on(k).Get(ctx)
		done <- err
	}()
	for k.File("leader") == "" {
		select {
		case err := <-done:
			t.Fatalf("it ended early: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel(lost)
	if err := <-done; !errors.Is(err, lost) {
		t.Fatalf("error %v", err)
	}
	gone(t, k, "leader")
}

// TestACallThatHasNoTimeLeftIsExplained: the caller's deadline comes before the limit.
func TestACallThatHasNoTimeLeftIsExplained(t *testing.T) {
	k := katotest.New(t, fresh)
	k.Fails("exec sleep 600")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := on(k).Get(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "had not ended after") {
		t.Fatalf("error %v", err)
	}
}

// TestAWriteThatKatoDoesNotKeepIsAnError: nothing is believed that can't be read back.
func TestAWriteThatKatoDoesNotKeepIsAnError(t *testing.T) {
	k := katotest.New(t, fresh)
	b := on(k)
	before, err := b.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for says, script := range map[string]string{
		`reads back as "stackato/stack/alsek"`: `test "$2" = set || exec "$real" "$@"`,
		`reads back as "mine"`:                 `"$real" "$@"; test "$2" != set || "$real" config set fence docker/image mine`,
		"can't be read back":                   `if test "$2" = set; then echo yes >"$dir/done"; "$real" "$@"; elif test -e "$dir/done"; then exit 1; else exec "$real" "$@"; fi`,
	} {
		k.Fails(script)
		if _, err := b.Set(t.Context(), "exampleco/newimg", before.Revision); err == nil || errors.Is(err, fence.ErrConflict) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v does not say %q", err, says)
		}
		k.Run("config", "set", "fence", "docker/image", "stackato/stack/alsek")
	}
}

// TestAWriteThatKatoFailsAfterIsDone: its answer is not what counts.
func TestAWriteThatKatoFailsAfterIsDone(t *testing.T) {
	k := katotest.New(t, fresh)
	k.Fails(`"$real" "$@" || exit; test "$2" != set || exec sleep 600`)
	b := kato.New(kato.Config{Program: k.Program, LockFile: k.LockFile(), Limit: 10 * time.Second})
	set(t, b, "exampleco/newimg")
}

// TestSettingsOfFencelineAreNotKatos: what the environment has of ours stays ours.
func TestSettingsOfFencelineAreNotKatos(t *testing.T) {
	t.Setenv("FENCELINE_NATS", "nats://user:secret@host")
	t.Setenv("OTHER", "x")
	k := katotest.New(t, fresh)
	k.Fails(`env >"$dir/env"; pwd >"$dir/pwd"; exec "$real" "$@"`)
	if _, err := on(k).Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if env := k.File("env"); strings.Contains(env, "secret") || !strings.Contains(env, "OTHER=x") || k.File("pwd") != "/" {
		t.Errorf("kato ran in %s with\n%s", k.File("pwd"), env)
	}
}
