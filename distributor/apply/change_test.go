package apply

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// image is one of a test's images.
func image(c string) string { return "registry.example/base@sha256:" + strings.Repeat(c, 64) }

// change applies an image that the node holds.
func change(c string, revision uint64) Change {
	i := image(c)
	name, digest, _ := strings.Cut(i, "@")
	return Change{
		Values:  Values{Image: i, Name: name, Digest: digest, Local: "fenceline.local/prod:" + c, Fleet: "prod", Node: "dea-1", Revision: revision},
		Present: func(context.Context) error { return nil },
	}
}

// target is a target in a folder of its own whose command appends what it is told to a log.
func target(t *testing.T, change func(*Config)) (tg *Target, file, log string) {
	t.Helper()
	dir := t.TempDir()
	file, log = filepath.Join(dir, "image"), filepath.Join(dir, "log")
	c := Config{
		File: file, Logger: zerolog.New(t.Output()),
		Command: `echo "$FENCELINE_FLEET $FENCELINE_NODE $FENCELINE_REVISION $FENCELINE_IMAGE after $FENCELINE_PREVIOUS_IMAGE in $(cat "$FENCELINE_FILE")" >>` + log,
	}
	if change != nil {
		change(&c)
	}
	tg, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return tg, file, log
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// has checks what a file holds; "" is that there is none.
func has(t *testing.T, file, want string) {
	t.Helper()
	got, err := os.ReadFile(file)
	if want == "" && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil || string(got) != want {
		t.Fatalf("%s has %q, want %q; error %v", filepath.Base(file), got, want, err)
	}
}

// applies applies a change that has to succeed.
func applies(t *testing.T, tg *Target, c Change) Result {
	t.Helper()
	r, err := tg.Apply(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnImageIsAppliedOnce(t *testing.T) {
	tg, file, log := target(t, nil)
	first := applies(t, tg, change("1", 3))
	has(t, file, image("1")+"\n")
	for revision := range uint64(3) { // the record changes for other reasons
		if again := applies(t, tg, change("1", 4+revision)); again != first || first.Revision != 3 {
			t.Errorf("applied as %+v, and again as %+v", first, again)
		}
	}
	applies(t, tg, change("2", 9))
	applies(t, tg, change("1", 12)) // a rollback
	line := func(c, revision, before string) string {
		return "prod dea-1 " + revision + " " + image(c) + " after " + before + " in " + image(c) + "\n"
	}
	has(t, log, line("1", "3", "")+line("2", "9", image("1"))+line("1", "12", image("2")))
}

func TestAnImageThatIsNotHereIsNotWritten(t *testing.T) {
	tg, file, log := target(t, nil)
	c := change("1", 1)
	c.Present = func(context.Context) error { return ErrNotHere }
	if _, err := tg.Apply(t.Context(), c); !errors.Is(err, ErrNotHere) {
		t.Errorf("it says %v", err)
	}
	has(t, file, "")
	has(t, log, "")
	has(t, tg.cfg.State, "")
}

func TestAFailedCommandIsRunAgain(t *testing.T) {
	tg, file, log := target(t, func(c *Config) { c.Command += "; test -f " + c.File + ".ok || { echo no such unit; exit 3; }" })
	for range 2 {
		if _, err := tg.Apply(t.Context(), change("1", 1)); err == nil || err.Error() != "reload ended with 3: no such unit" {
			t.Fatalf("it says %v", err)
		}
		has(t, file, image("1")+"\n")
	}
	write(t, file+".ok", "")
	applies(t, tg, change("1", 1))
	applies(t, tg, change("1", 1))
	if b, err := os.ReadFile(log); err != nil || strings.Count(string(b), "\n") != 3 {
		t.Errorf("it ran as %q, %v", b, err)
	}
}

// TestWhatSomebodyElseWroteIsPutRight and said, and the command run, as its software may have read it.
func TestWhatSomebodyElseWroteIsPutRight(t *testing.T) {
	tg, file, _ := target(t, func(c *Config) { c.Command = "echo run >>" + c.File + ".log" })
	log := file + ".log"
	applies(t, tg, change("1", 1))
	write(t, file, "somebody/else\n")
	if r := applies(t, tg, change("1", 2)); r.Mended != `it had "somebody/else"` || r.Revision != 1 {
		t.Errorf("it is %+v", r)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if r := applies(t, tg, change("1", 2)); r.Mended != "the file was gone" {
		t.Errorf("it is %+v", r)
	}
	has(t, file, image("1")+"\n")
	has(t, log, "run\nrun\nrun\n")
	if r := applies(t, tg, change("1", 2)); r.Mended != "" {
		t.Errorf("it is %+v", r)
	}
}

// TestAKillLeavesWordOfWhatIsToBeDone stops after each of the writes, and goes on as another process would.
func TestAKillLeavesWordOfWhatIsToBeDone(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, tg *Target, s state){
		"before the file": func(t *testing.T, tg *Target, s state) {},
		"between file and command": func(t *testing.T, tg *Target, s state) {
			write(t, tg.cfg.File, image("1")+"\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			tg, file, _ := target(t, func(c *Config) { c.Command = "echo run >>" + c.File + ".log" })
			log := file + ".log"
			s := state{Image: image("1"), Revision: 7}
			if err := tg.keep(s); err != nil {
				t.Fatal(err)
			}
			stop(t, tg, s)
			write(t, filepath.Join(filepath.Dir(file), ".image.fenceline-123"), "half writ")
			next, err := New(tg.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r := applies(t, next, change("1", 9)); r.Revision != 7 || r.Mended != "" {
				t.Errorf("it is %+v", r)
			}
			has(t, file, image("1")+"\n")
			has(t, log, "run\n")
			has(t, filepath.Join(filepath.Dir(file), ".image.fenceline-123"), "")
			last, err := New(tg.cfg)
			if err != nil {
				t.Fatal(err)
			}
			applies(t, last, change("1", 9))
			has(t, log, "run\n")
		})
	}
}

// TestACommandOfAKilledDistributorIsEnded before the next one runs.
func TestACommandOfAKilledDistributorIsEnded(t *testing.T) {
	orphan := exec.Command("/bin/sh", "-c", "sleep 600 & sleep 600")
	orphan.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- orphan.Wait() }()
	tg, file, _ := target(t, nil)
	if err := tg.keep(state{Image: image("1"), Running: runningNow(orphan.Process.Pid)}); err != nil {
		t.Fatal(err)
	}
	write(t, file, image("1")+"\n")
	next, err := New(tg.cfg)
	if err != nil {
		t.Fatal(err)
	}
	applies(t, next, change("1", 1))
	if err := <-ended; err == nil {
		t.Error("it ended by itself")
	}
	var kept state
	content, err := os.ReadFile(tg.cfg.State)
	if err == nil {
		err = json.Unmarshal(content, &kept)
	}
	if err != nil || kept.Running != nil || !kept.Done {
		t.Errorf("the state is %+v, %v", kept, err)
	}
}

// killedVariable names the folder of a process that applies an image until it is killed.
const killedVariable = "APPLY_UNTIL_KILLED"

// untilKilled is a target whose command does not end before its folder has a file named go.
func untilKilled(dir string) (*Target, error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	return New(Config{File: at("image"), Command: "echo $$ >>" + at("began") + "; test -e " + at("go") + " || sleep 600"})
}

// TestUntilKilled is the process of TestAKilledDistributor.
func TestUntilKilled(t *testing.T) {
	dir := os.Getenv(killedVariable)
	if dir == "" {
		return
	}
	tg, err := untilKilled(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tg.Apply(t.Context(), change("1", 1))
	t.Fatalf("its command ended: %v", err)
}

// TestAKilledDistributor has its command run again by the next one, and never two at one time.
func TestAKilledDistributor(t *testing.T) {
	dir := t.TempDir()
	killed := exec.Command(os.Args[0], "-test.run=^TestUntilKilled$")
	killed.Env = append(os.Environ(), killedVariable+"="+dir)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	noted := func() bool { // which command runs is noted once it does
		s, err := readState(filepath.Join(dir, ".image.fenceline"))
		return err == nil && s.Running != nil
	}
	for b := []byte(nil); !strings.HasSuffix(string(b), "\n") || !noted(); b, _ = os.ReadFile(filepath.Join(dir, "began")) {
		<-tick.C
	}
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait() // it was killed
	has(t, filepath.Join(dir, "image"), image("1")+"\n")
	write(t, filepath.Join(dir, "go"), "")
	began := filepath.Join(dir, "began")
	first, err := os.ReadFile(began)
	if err != nil {
		t.Fatal(err)
	}
	write(t, began+".first", string(first))
	next, err := untilKilled(dir)
	if err != nil {
		t.Fatal(err)
	}
	applies(t, next, change("1", 1))
	gone(t, began+".first")
	if b, err := os.ReadFile(began); err != nil || strings.Count(string(b), "\n") != 2 {
		t.Errorf("the command began as %q, %v", b, err)
	}
}

// TestAnothersProcessIsLeftAlone that has the number of a command of earlier.
func TestAnothersProcessIsLeftAlone(t *testing.T) {
	other := exec.Command("sleep", "600")
	other.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	now := runningNow(other.Process.Pid)
	for name, r := range map[string]running{
		"began at another time":    {now.Process, "1", now.Boot},
		"before the machine began": {now.Process, now.Started, "another"},
		"no number":                {0, now.Started, now.Boot},
	} {
		if r.end() {
			t.Errorf("%s: it was ended", name)
		}
	}
	if startOf(other.Process.Pid) != now.Started {
		t.Error("it is gone")
	}
}

func TestACommandThatDoesNotEnd(t *testing.T) {
	for limit := 300 * time.Millisecond; ; limit *= 2 {
		tg, file, _ := target(t, func(c *Config) {
			c.Timeout = limit
			c.Command = "trap '' TERM; sleep 600 & echo $! >" + c.File + ".child; echo begun; wait; wait"
		})
		began := time.Now()
		_, err := tg.Apply(t.Context(), change("1", 1))
		if took := time.Since(began); took > limit+30*time.Second {
			t.Errorf("it took %s", took)
		}
		if err != nil && limit < time.Minute && !strings.HasSuffix(err.Error(), ": begun") {
			continue // a busy machine needs longer to get there
		}
		if err == nil || err.Error() != "reload did not end within "+limit.String()+", and was killed: begun" {
			t.Fatalf("it says %v", err)
		}
		gone(t, file+".child")
		return
	}
}

// TestWhatACommandLeavesIsEnded: neither keeps it anybody waiting.
func TestWhatACommandLeavesIsEnded(t *testing.T) {
	tg, file, _ := target(t, func(c *Config) { c.Command = "sleep 600 & echo $! >" + c.File + ".child" })
	applies(t, tg, change("1", 1))
	gone(t, file+".child")
}

// gone waits until the process that a file names is gone, or nothing but a zombie.
func gone(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it lives: %s", stat)
		}
	}
}

func TestACommandEndsWithTheDistributor(t *testing.T) {
	tg, file, _ := target(t, func(c *Config) { c.Command = "sleep 600 & echo $! >" + c.File + ".child; wait" })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := tg.Apply(ctx, change("1", 1))
		ended <- err
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for b := []byte(nil); !strings.HasSuffix(string(b), "\n"); b, _ = os.ReadFile(file + ".child") {
		<-tick.C
	}
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "reload was ended: context canceled") {
		t.Errorf("it says %v", err)
	}
	gone(t, file+".child")
}

func TestACommandsOutputIsBounded(t *testing.T) {
	tg, _, _ := target(t, func(c *Config) { c.Command = "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1" })
	_, err := tg.Apply(t.Context(), change("1", 1))
	if err == nil || !strings.HasSuffix(err.Error(), "the end") || len(err.Error()) > 2*maxOutput {
		t.Errorf("it says %d bytes: %.80s", len(err.Error()), err)
	}
}

// TestACommandIsToldNothingOfTheSettings of the distributor: some name secrets.
func TestACommandIsToldNothingOfTheSettings(t *testing.T) {
	t.Setenv("FENCELINE_NATS", "nats://u:hunter2@core:4222")
	t.Setenv("OTHER", "kept")
	tg, file, _ := target(t, func(c *Config) { c.Command = "env >" + c.File + ".env" })
	applies(t, tg, change("1", 5))
	got, err := os.ReadFile(file + ".env")
	if err != nil || strings.Contains(string(got), "hunter2") {
		t.Errorf("%v, %s", err, got)
	}
	for _, want := range []string{"OTHER=kept\n", "FENCELINE_IMAGE=" + image("1") + "\n", "FENCELINE_LOCAL_IMAGE=fenceline.local/prod:1\n", "FENCELINE_FILE=" + file + "\n", "FENCELINE_REVISION=5\n"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("without %q: %s", want, got)
		}
	}
}
