package standalone

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/freeport"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// lines is what was logged so far.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func startNATS(t *testing.T, dir, password string) (*NATS, *lines, error) {
	t.Helper()
	log := new(lines)
	address, err := freeport.Of("127.0.0.1") // which it takes again after it was stopped
	if err != nil {
		t.Fatal(err)
	}
	n, err := StartNATS(t.Context(), NATSConfig{
		Address: address, StoreDir: dir, Logger: zerolog.New(log),
		Users: []User{{Name: "operator", Password: messages.NewSecret(password), Publish: []string{">"}, Subscribe: []string{">"}}},
	})
	if err == nil {
		t.Cleanup(n.Stop)
	}
	return n, log, err
}

func login(n *NATS, password string) (*nats.Conn, error) {
	return nats.Connect("", nats.InProcessServer(n), nats.UserInfo("operator", password))
}

func TestNATSIsToldNoPassword(t *testing.T) {
	const password = "the-password-of-the-operator"
	n, log, err := startNATS(t, t.TempDir(), password)
	if err != nil {
		t.Fatal(err)
	}
	c, err := login(n, password)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	hash, err := HashPassword(messages.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", password + "x", hash} {
		if _, err := nats.Connect(n.URL(), nats.UserInfo("operator", wrong)); err == nil {
			t.Errorf("password %q gets in", wrong)
		}
	}
	if said := log.String(); strings.Contains(said, "Plaintext") || strings.Contains(said, password) {
		t.Errorf("it logs %s", said)
	}
	if _, _, err := startNATS(t, t.TempDir(), strings.Repeat("x", maxPassword+1)); err == nil || !strings.Contains(err.Error(), "user operator: the password has more than 72 bytes") {
		t.Errorf("a password that is too long gives %v", err)
	}
}

func TestNATSSyncsEveryWrite(t *testing.T) {
	n, _, err := startNATS(t, t.TempDir(), "password")
	if err != nil {
		t.Fatal(err)
	}
	if c := n.running().server.JetStreamConfig(); c == nil || !c.SyncAlways || c.MaxMemory != natsMemory {
		t.Errorf("JetStream runs as %+v", c)
	}
}

// small mounts a small file system, which takes root. Size is as tmpfs has it.
func small(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mounting a small file system, which this test needs root for (run it as root, or in a container with CAP_SYS_ADMIN): %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v: %s", err, out)
		}
	})
	return dir
}

// fill takes all that is free, as somebody else would, until the returned function is called.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	filler := filepath.Join(dir, "filler")
	free, err := freeBytes(dir)
	if err == nil {
		err = allocate(filler, int64(free))
	}
	if err != nil {
		t.Fatalf("filling the disk: %v", err)
	}
	return func() {
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	}
}

// stream is a stream of a server, by a client that is connected all the time.
func stream(t *testing.T, n *NATS) jetstream.JetStream {
	t.Helper()
	c, err := nats.Connect("", nats.InProcessServer(n), nats.UserInfo("operator", "password"), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}, MaxBytes: 500_000}); err != nil {
		t.Fatal(err)
	}
	return js
}

func publish(t *testing.T, js jetstream.JetStream, size int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := js.Publish(ctx, "s", bytes.Repeat([]byte("x"), size))
	return err
}

// soon waits until something holds.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !holds(); {
		select {
		case <-late:
			t.Fatalf("it did not come to pass that %s", what)
		case <-tick.C:
		}
	}
}

// TestNATSStoresAgainOnceThereIsRoom fills a small file system under a server, again and again until it
// can't store, and makes room: its streams don't take writes again by themselves.
func TestNATSStoresAgainOnceThereIsRoom(t *testing.T) {
	dir := small(t, "4m")
	store := filepath.Join(dir, "nats")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	n, log, err := startNATS(t, store, "password")
	if err != nil {
		t.Fatal(err)
	}
	js := stream(t, n)
	soon(t, "it stores", func() bool { return publish(t, js, 1000) == nil })
	url := n.URL()
	for range 2 {
		empty := fill(t, dir)
		soon(t, "a full disk takes nothing any more", func() bool {
			refill, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, full := refill.Write(make([]byte, 1<<20)) // what the reserve gives up
			_ = refill.Close()
			return publish(t, js, 100_000) != nil && full != nil
		})
		soon(t, "it is said", func() bool { return strings.Contains(log.String(), "NATS can't store") })
		if len(n.Failed()) > 0 {
			t.Fatalf("it fails: %v", <-n.Failed())
		}
		empty()
		soon(t, "it stores again", func() bool { return publish(t, js, 100_000) == nil })
	}
	if n.URL() != url {
		t.Errorf("it listens at %s; it was %s", n.URL(), url)
	}
	s, err := js.Stream(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetMsg(t.Context(), 1); err != nil || len(m.Data) != 1000 {
		t.Errorf("what was stored before: %v", err)
	}
	if _, err := nats.Connect(url, nats.UserInfo("operator", "password")); err != nil {
		t.Errorf("by its address: %v", err)
	}
}

// TestTheReserveIsForNATS fills the disk once: what is given up is enough for what NATS stores.
func TestTheReserveIsForNATS(t *testing.T) {
	dir := small(t, "40m")
	store := filepath.Join(dir, "nats")
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	n, _, err := startNATS(t, store, "password")
	if err != nil {
		t.Fatal(err)
	}
	js := stream(t, n)
	soon(t, "room is reserved", func() bool {
		info, err := os.Stat(store + ".reserve")
		return err == nil && info.Size() == 2<<20
	})
	empty := fill(t, dir)
	soon(t, "a disk that others filled takes what NATS stores", func() bool { return publish(t, js, 100_000) == nil })
	if err := Shortage(dir); !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), dir) {
		t.Errorf("of the disk it is said: %v", err)
	}
	empty()
	soon(t, "room is reserved again", func() bool {
		info, err := os.Stat(store + ".reserve")
		return err == nil && info.Size() == 2<<20
	})
	if err := Shortage(dir); err != nil {
		t.Errorf("of a disk with room it is said: %v", err)
	}
}

// TestAnAccountTakesOverWhatWasStored starts a server with accounts over what one without has stored.
func TestAnAccountTakesOverWhatWasStored(t *testing.T) {
	dir := t.TempDir()
	n, _, err := startNATS(t, dir, "secret")
	if err != nil {
		t.Fatal(err)
	}
	in := func(n *NATS) *queue.Client {
		c, err := queue.Connect(t.Context(), queue.Options{InProcess: n, User: "operator", Password: messages.NewSecret("secret"), Source: "/x"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	if err := store.Declare(t.Context(), in(n), store.Layout{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Fleets(in(n)).Create(t.Context(), "production", messages.FleetRecord{Fleet: "production"}); err != nil {
		t.Fatal(err)
	}
	n.Stop()
	for range 2 {
		n, err := StartNATS(t.Context(), NATSConfig{
			Address: "127.0.0.1:0", StoreDir: dir, Logger: zerolog.Nop(), Passwords: map[string]messages.Secret{"operator": messages.NewSecret("secret")},
			Accounts: store.Accounts(messages.Space{}, store.Users{Deciders: []store.User{{Name: "operator", May: store.OperatorPermissions(messages.Space{}, "_INBOX")}}}),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Stop)
		c := in(n)
		if err := store.Declare(t.Context(), c, store.Layout{}); err != nil {
			t.Fatal(err)
		}
		if e, err := store.Fleets(c).Get(t.Context(), "production"); err != nil || e.Value.Fleet != "production" {
			t.Errorf("the record is %+v, %v", e, err)
		}
		n.Stop()
	}
}
