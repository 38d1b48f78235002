package producer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/rs/zerolog"
)

// many is a file of n pipelines, each of a repository of its own on one of some hosts.
func many(n int, hosts ...string) string {
	var file strings.Builder
	file.WriteString("version: 1\ndefaults: {poll: 10m}\npipelines:\n")
	for i := range n {
		fmt.Fprintf(&file, "  - {name: p%d, repository: 'https://%s/%d.git', image: example.com/p%d}\n", i, hosts[i%len(hosts)], i, i)
	}
	return file.String()
}

// clockwork is a poller whose looks are counted, and end as a test says.
type clockwork struct {
	*poller   // of the test's bubble
	pipelines *Pipelines
	outcome   func(l *glance) error

	mu    sync.Mutex             // of what follows, and of what outcome uses
	looks map[string][]time.Time // by repository
	now   int
	most  int
}

func newClockwork(t *testing.T, file string) *clockwork {
	t.Helper()
	return &clockwork{pipelines: load(t, file), looks: map[string][]time.Time{}, outcome: func(*glance) error { return nil }}
}

// start has it poll until the test's bubble ends it.
func (c *clockwork) start(t *testing.T) (stop func()) {
	p, err := New(Config{Pipelines: c.pipelines, Queue: &memoryQueue{}, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	c.poller = p.poller(nil)
	begun := make(chan *glance)
	c.look = func(_ context.Context, _ *SharedPolls, l *glance) error {
		begun <- l
		time.Sleep(300 * time.Millisecond) //nolint:forbidigo // of the bubble's clock: how long a host takes
		begun <- nil
		l.finished = l.pipelines
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.outcome(l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	counted, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(counted)
		for {
			select {
			case l := <-begun:
				c.count(l)
			case <-ended:
				return
			}
		}
	}()
	done := make(chan struct{})
	go func() { defer close(done); c.run(ctx) }()
	return func() {
		cancel()
		<-done
		close(ended)
		<-counted
	}
}

// count takes in that a look begins, or that one ends, for which nil stands.
func (c *clockwork) count(l *glance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l == nil {
		c.now--
		return
	}
	c.now++
	c.most = max(c.most, c.now)
	c.looks[l.url] = append(c.looks[l.url], time.Now())
}

// TestTenThousandRepositoriesAreEachPolledInTime for some hours, a few at one time and not in step.
func TestTenThousandRepositoriesAreEachPolledInTime(t *testing.T) {
	const n = 10_000
	folder := t.TempDir() // one file has room for fewer
	for i := range 4 {
		file := strings.ReplaceAll(many(n/4, fmt.Sprintf("h%d.example.com", i)), "{name: p", fmt.Sprintf("{name: f%dp", i))
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.yaml", i)), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := newClockwork(t, many(1, "h"))
	var err error
	if c.pipelines, err = LoadPipelines(folder); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		stop := c.start(t)
		time.Sleep(2 * time.Hour) //nolint:forbidigo // of the bubble's clock
		stop()
	})
	least, most := 100, 0
	for _, at := range c.looks {
		least, most = min(least, len(at)), max(most, len(at))
		for i := 1; i < len(at); i++ {
			if gap := at[i].Sub(at[i-1]); gap < 8*time.Minute || gap > 13*time.Minute {
				t.Fatalf("looked at after %s", gap)
			}
		}
	}
	if len(c.looks) != n || least < 9 || most > 15 || c.most > pollsAtOnce {
		t.Errorf("%d were looked at, %d to %d times, %d at one time", len(c.looks), least, most, c.most)
	}
}

// TestAHostThatIsAwayForAnHour holds up nobody else, is asked now and then, and has all of its repositories looked at soon
// once it is back.
func TestAHostThatIsAwayForAnHour(t *testing.T) {
	const n = 2000
	c := newClockwork(t, many(n, "up.example.com", "down.example.com"))
	isDown := true
	c.outcome = func(l *glance) error {
		if isDown && strings.Contains(l.url, "down.") {
			return fmt.Errorf("looking: %w", git.ErrUnreachable)
		}
		return nil
	}
	var back time.Time
	asked := 0
	synctest.Test(t, func(t *testing.T) {
		stop := c.start(t)
		time.Sleep(time.Hour) //nolint:forbidigo // of the bubble's clock
		synctest.Wait()
		c.mu.Lock()
		for url, at := range c.looks {
			if strings.Contains(url, "down.") {
				asked += len(at)
			}
		}
		isDown, back = false, time.Now()
		c.mu.Unlock()
		time.Sleep(30 * time.Minute) //nolint:forbidigo // of the bubble's clock
		stop()
	})
	if asked > 60 {
		t.Errorf("the host that is away was asked %d times", asked)
	}
	for url, at := range c.looks {
		last := at[len(at)-1]
		if strings.Contains(url, "down.") && last.Before(back) || len(at) < 7 && strings.Contains(url, "up.") {
			t.Fatalf("%s was looked at at %v; the host was back at %s", url, at, back)
		}
		if i := strings.Contains(url, "down."); i {
			for _, when := range at {
				if when.After(back) {
					if late := when.Sub(back); late > 15*time.Minute {
						t.Fatalf("%s was looked at %s after its host was back", url, late)
					}
					break
				}
			}
		}
	}
	if len(c.looks) != n {
		t.Errorf("%d were looked at", len(c.looks))
	}
}

// TestARepositoryThatFailsHoldsUpNoOther of its host, and is asked again ever less often.
func TestARepositoryThatFailsHoldsUpNoOther(t *testing.T) {
	for name, failure := range map[string]error{"it is gone": git.ErrNoRepository, "it can't be read": git.ErrUnreachable, "the queue is away": errors.New("no room")} {
		t.Run(name, func(t *testing.T) {
			c := newClockwork(t, many(20, "git.example.com"))
			c.outcome = func(l *glance) error {
				if strings.HasSuffix(l.url, "/0.git") {
					return failure
				}
				return nil
			}
			synctest.Test(t, func(t *testing.T) {
				stop := c.start(t)
				time.Sleep(2 * time.Hour) //nolint:forbidigo // of the bubble's clock
				stop()
			})
			for url, at := range c.looks {
				if n := len(at); n < 9 || n > 25 {
					t.Errorf("%s was looked at %d times", url, n)
				}
			}
		})
	}
}

// TestWhatIsPolled are pipelines that say so, and those with webhooks; one without a pause is looked at once.
func TestWhatIsPolled(t *testing.T) {
	for file, want := range map[string]time.Duration{
		"": 0, "    poll: 5m": 5 * time.Minute, "    webhook: {secret_file: hook}": 15 * time.Minute,
		"    webhook: {secret_file: hook}\n    poll: 1h": time.Hour, "    webhook: {secret_file: hook}\n    poll: 0s": 0,
	} {
		d := load(t, item(file)).declared[0]
		if d.poll.Std() != want {
			t.Errorf("%q: polled after %s, want %s", file, d.poll, want)
		}
		c := newClockwork(t, item(file))
		synctest.Test(t, func(t *testing.T) {
			stop := c.start(t)
			time.Sleep(4 * time.Hour) //nolint:forbidigo // of the bubble's clock
			stop()
		})
		looks := 0
		for _, at := range c.looks {
			looks += len(at)
		}
		switch {
		case want > 0 && looks < int(4*time.Hour/want)*8/10, want == 0 && looks != strings.Count(file, "webhook"):
			t.Errorf("%q: %d looks", file, looks)
		}
	}
	for text, want := range map[string]string{
		"5s":  "pipelines[0].poll: 5s is too often for the repository's host: write 10s or more, or 0s for never",
		"-1m": "pipelines[0].poll: duration \"-1m\" is negative", "often": "pipelines[0].poll: ", "[1m]": "pipelines[0].poll: ",
	} {
		_, err := LoadPipelines(writeFile(t, item("    poll: "+text)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("poll: %s: %v, want %s", text, err, want)
		}
	}
}

// TestPipelinesOfOneRepositoryShareALook however many they are, at the pace of the one that looks most often.
func TestPipelinesOfOneRepositoryShareALook(t *testing.T) {
	file := strings.ReplaceAll(many(500, "git.example.com"), "image:", "branch: main, image:")
	for i := range 500 {
		file = strings.ReplaceAll(file, fmt.Sprintf("/%d.git'", i), "/all.git'")
	}
	file += "  - {name: quick, repository: 'https://git.example.com/all.git', image: example.com/quick, poll: 1m}\n"
	c := newClockwork(t, file)
	var seen []int
	c.outcome = func(l *glance) error { seen = append(seen, len(l.pipelines)); return nil }
	synctest.Test(t, func(t *testing.T) {
		stop := c.start(t)
		time.Sleep(20*time.Minute + 30*time.Second) //nolint:forbidigo // of the bubble's clock
		stop()
	})
	if n := len(seen); len(c.looks) != 1 || n < 16 || n > 26 || seen[0] != 501 {
		t.Errorf("%d repositories, looked at %d times for %v pipelines", len(c.looks), n, seen)
	}
}

// TestThePlacesOfWhatIsDue are kept as repositories come and go.
func TestThePlacesOfWhatIsDue(t *testing.T) {
	p, err := New(Config{Pipelines: load(t, many(50, "git.example.com")), Queue: &memoryQueue{}})
	if err != nil {
		t.Fatal(err)
	}
	c := p.poller(nil)
	c.follow(t.Context())
	for i, r := range c.line {
		if r.place != i {
			t.Errorf("%s is at %d and says %d", r.url, i, r.place)
		}
	}
	gone := c.line[7]
	c.force(load(t, many(3, "git.example.com")))
	c.follow(t.Context())
	if len(c.line) != 3 || len(c.repos) != 3 || gone.place != -1 && c.repos[gone.key] == nil {
		t.Errorf("%d are due of %d", len(c.line), len(c.repos))
	}
	if c.repos[messages.PollKey("https://git.example.com/1.git", "")] == nil {
		t.Error("one that stays is gone")
	}
}
