package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/cli/pki"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// credentials runs init, and starts a NATS server over the configuration that it wrote.
func credentials(t *testing.T) (dir, url string) {
	t.Helper()
	dir = t.TempDir()
	done(t, "init", "--dir", dir, "--node", "production.node-1", "--node", "production.node-2")
	conf := filepath.Join(dir, "server.conf")
	clitest.Write(t, conf, "listen: \"127.0.0.1:-1\"\njetstream { store_dir: "+t.TempDir()+" }\ninclude "+pki.UsersFile+"\n")
	o, err := server.ProcessConfigFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server is not up")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return dir, s.ClientURL()
}

// as connects as one of init's users, the way its role does.
func as(t *testing.T, dir, url, user, inboxPrefix string) *queue.Client {
	t.Helper()
	n := settings.NATS{URL: url, User: user, PasswordFile: filepath.Join(dir, user)}
	c, err := Connect(t.Context(), &n, Caller{Role: user, Name: "test", Inbox: inboxPrefix}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestRolesWorkWithInitsCredentials takes a build through every role, each with the rights
// that init gives its user: from the request to the flip, and back by an operator.
func TestRolesWorkWithInitsCredentials(t *testing.T) {
	dir, url := credentials(t)
	password, err := settings.ReadSecret(filepath.Join(dir, settings.UserController))
	if err != nil {
		t.Fatal(err)
	}
	inURL := strings.Replace(url, "//", "//"+settings.UserController+":"+password.Reveal()+"@", 1)
	if out := done(t, "init", "--nats", inURL); strings.Contains(out, password.Reveal()) {
		t.Errorf("the password in the URL is shown: %s", out)
	}
	done(t, "init", "--nats", url, "--user", settings.UserController, "--password-file", filepath.Join(dir, settings.UserController))

	producer := as(t, dir, url, settings.UserProducer, settings.Inbox(settings.UserProducer))
	if err := store.Declare(t.Context(), producer, store.Layout{}); err != nil {
		t.Fatalf("a producer declares what is there: %v", err)
	}
	acting := as(t, dir, url, settings.UserController, settings.Inbox(settings.UserController))
	c, err := controller.New(controller.Config{
		Queue: acting, Name: "c1", Interval: 50 * time.Millisecond, Logger: zerolog.Nop(),
		Backend: new(backends.Backends).Factory(acting),
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, c.Run)
	builder := as(t, dir, url, settings.UserBuilder, settings.Inbox(settings.UserBuilder))
	background(t, func(ctx context.Context) error {
		return builds.New(builder).Consume(ctx, builds.Work{
			Worker: "b1", Slots: 1, Logger: zerolog.Nop(),
			Build: func(ctx context.Context, j *builds.Job) (messages.Payload, error) {
				ref := messages.BuildRef{Build: j.Request.Build, Pipeline: j.Request.Pipeline.Name, Order: j.Request.Order}
				j.Log(messages.BuildLog{Step: messages.StepBuilt})
				err := j.Event(ctx, &messages.BasePinned{BuildRef: ref, Attempt: j.Attempt, Bases: []messages.PinnedBase{{Source: "x", Image: imageOne}}})
				return &messages.ImageReady{
					BuildRef: ref, Image: imageTwo, Tag: "t", Commit: commit, HooksDir: messages.DefaultHooksDir, Received: noon(), Fleets: j.Request.Pipeline.Fleets,
				}, err
			},
			Tag: func(context.Context, messages.BuildRecord) error { return nil },
		})
	})
	node := as(t, dir, url, "production.node-1", settings.NodeInbox("production", "node-1"))
	background(t, func(ctx context.Context) error { return holdAll(ctx, node) })

	p := pipeline()
	policy := messages.DefaultPolicy()
	policy.Trial.Disabled = true
	p.Fleets = []messages.FleetTarget{{Fleet: "production", Policy: policy}}
	accepted, err := builds.New(producer).Request(t.Context(), &messages.BuildRequested{
		Build: "base-ffffffff", Pipeline: p, Commit: commit, Cause: messages.CausePerson, Received: noon(),
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("FENCELINE_NATS", url)
	t.Setenv("FENCELINE_USER", settings.UserOperator)
	t.Setenv("FENCELINE_PASSWORD_FILE", filepath.Join(dir, settings.UserOperator))
	operator := as(t, dir, url, settings.UserOperator, "")
	if err := awaitFlip(t, operator); err != nil {
		t.Fatalf("no flip: %v\n%s", err, fenceline(t, "status").out)
	}
	if out := done(t, "config", "get", "fence", "docker/image"); out != string(imageTwo)+"\n" {
		t.Errorf("the fence config is %q", out)
	}
	for _, args := range [][]string{
		{"status"}, {"builds"}, {"nodes"}, {"rollouts"}, {"history"}, {"logs", accepted.Build}, {"dead-letters", "list"},
		{"hold"}, {"release"}, {"retry", accepted.Build},
	} {
		done(t, args...)
	}
	for user, role := range map[string]string{
		settings.UserOperator: settings.UserController, settings.UserProducer: settings.UserProducer, settings.UserController: settings.UserController, "production.node-1": settings.RoleDistributor, settings.UserBuilder: settings.UserBuilder,
		settings.UserStatuses: settings.RoleStatuses, settings.UserConsole: settings.RoleConsole,
	} {
		s := fenceline(t, "doctor", role, "--user", user, "--password-file", filepath.Join(dir, user), "-o", "json")
		var found []checked
		if err := json.Unmarshal([]byte(s.out), &found); err != nil || !found[0].OK {
			t.Errorf("doctor of NATS as %s: %v, %+v", user, err, s)
		}
	}
	if _, err := builds.New(producer).Sweep(t.Context()); err != nil {
		t.Errorf("sweeping: %v", err)
	}
	if err := builds.New(operator).PutContext(t.Context(), "context-aaaaaaaa", strings.NewReader("tar")); err != nil {
		t.Errorf("an operator's context: %v", err)
	}
	if r, err := builds.New(builder).GetContext(t.Context(), "context-aaaaaaaa"); err != nil {
		t.Errorf("a builder reads it: %v", err)
	} else {
		r.Close()
	}
}

// background runs a role until the test's end, and fails the test with its error.
func background(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("a role ended with %v", err)
		}
	})
}

// holdAll is a node that has every image at once, and says so with its credential.
func holdAll(ctx context.Context, q *queue.Client) error {
	status := messages.NodeStatus{
		Fleet: "production", Node: "node-1", Instance: "i1", Interval: messages.Duration(time.Second), Engine: messages.Engine{Name: "docker"},
	}
	beat := func(f messages.FleetChanged) {
		status.Beat++
		status.Revision, status.Images = f.Revision, nil
		for _, i := range f.Record.Wanted() {
			status.Images = append(status.Images, messages.PresentImage{Image: i, ID: "sha256:aa", Local: "l"})
		}
		if p := f.Record.Preload; p != nil {
			status.Work = &messages.NodeWork{Rollout: p.Rollout, Image: p.Image, State: messages.WorkPresent}
		}
		_ = store.NewNode(q).Heartbeat(ctx, &status) // a lost one shows as a flip that doesn't come
	}
	beat(messages.FleetChanged{})
	return store.WatchFleet(ctx, q, "production", beat)
}

func awaitFlip(t *testing.T, q *queue.Client) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	flipped := errors.New("flipped")
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := store.Fleets(q).Watch(ctx, func(e queue.Entry[messages.FleetRecord]) {
		if e.Value.Current.Image == imageTwo && e.Value.Applied.Epoch == e.Value.Epoch {
			stop(flipped)
		}
	}, nil)
	if errors.Is(context.Cause(ctx), flipped) {
		return nil
	}
	return err
}

// TestNodeMayDoNoMore holds a node's credential against what it must not do (invariant 8).
func TestNodeMayDoNoMore(t *testing.T) {
	dir, url := credentials(t)
	done(t, "init", "--nats", url, "--user", settings.UserController, "--password-file", filepath.Join(dir, settings.UserController))
	node := as(t, dir, url, "production.node-1", settings.NodeInbox("production", "node-1"))
	for what, do := range map[string]func(context.Context) error{
		"another node's heartbeat": func(ctx context.Context) error {
			return store.NewNode(node).Heartbeat(ctx, &messages.NodeStatus{Fleet: "production", Node: "node-2", Instance: "i", Beat: 1})
		},
		"the fence config": func(ctx context.Context) error {
			_, err := natskv.New(node, "production").Set(ctx, "evil", "")
			return err
		},
		"the fleet's record": func(ctx context.Context) error {
			_, err := store.Fleets(node).Create(ctx, "production", messages.FleetRecord{Fleet: "production"})
			return err
		},
		"an image of its own": func(ctx context.Context) error {
			return node.Publish(ctx, "", &messages.ImageReady{
				BuildRef: messages.BuildRef{Build: "base-aaaaaaaa", Pipeline: "base", Order: 1}, Image: imageTwo, Tag: "t",
			})
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := do(ctx); err == nil {
			t.Errorf("a node may write %s", what)
		}
		cancel()
	}
}

// TestInitKeepsWhatIsThere writes no password twice and shows none.
func TestInitKeepsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	out := done(t, "init", "--dir", dir, "--node", "production.node-1")
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	first := map[string]string{}
	for _, user := range []string{settings.UserOperator, settings.UserProducer, settings.UserBuilder, settings.UserController, settings.UserStatuses, settings.UserConsole, "production.node-1"} {
		first[user] = read(user)
		if info, err := os.Stat(filepath.Join(dir, user)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", user, info.Mode(), err)
		}
	}
	out += done(t, "init", "--dir", dir, "--node", "staging.node-1")
	for _, user := range []string{"production.node-1", "staging.node-1"} {
		if strings.Count(read(pki.UsersFile), `{user: "`+user+`"`) != 1 {
			t.Errorf("after a node was added the server knows %s not once", user)
		}
	}
	for user, password := range first {
		if read(user) != password {
			t.Errorf("%s has another password", user)
		}
		if strings.Contains(out, strings.TrimSpace(password)) {
			t.Errorf("the password of %s is shown", user)
		}
		if strings.Contains(read(pki.UsersFile), strings.TrimSpace(password)) {
			t.Errorf("the server is told the password of %s", user)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, pki.UsersFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", pki.UsersFile, info.Mode(), err)
	}
	if !strings.Contains(read(pki.UsersFile), `"staging.node-1"`) {
		t.Error("the node that was added is missing")
	}
}

// TestInitForgetsANode takes a node whose password file was removed out of the users' file.
func TestInitForgetsANode(t *testing.T) {
	dir := t.TempDir()
	done(t, "init", "--dir", dir, "--node", "production.node-1", "--node", "production.node-2")
	if err := os.Remove(filepath.Join(dir, "production.node-1")); err != nil {
		t.Fatal(err)
	}
	done(t, "init", "--dir", dir)
	users, err := os.ReadFile(filepath.Join(dir, pki.UsersFile))
	if err != nil || strings.Contains(string(users), "node-1") || !strings.Contains(string(users), "node-2") {
		t.Errorf("%v\n%s", err, users)
	}
}

// TestInitRefusesOptionsOfTheOtherStep: they would do nothing.
func TestInitRefusesOptionsOfTheOtherStep(t *testing.T) {
	t.Setenv("FENCELINE_NATS", "nats://a.terminal.has.it:4222")
	dir := t.TempDir()
	done(t, "init", "--dir", dir)
	for _, args := range [][]string{
		{"--dir", dir, "--replicas", "3"},
		{"--dir", dir, "--user", "controller"},
		{"--nats", "nats://127.0.0.1:9", "--node", "production.node-9"},
		{"--dir", dir, "--nats", "nats://127.0.0.1:9"},
	} {
		s := fenceline(t, append([]string{"init"}, args...)...)
		if s.status != ExitUsage || !strings.Contains(s.err, "--") {
			t.Errorf("%v: %+v", args, s)
		}
	}
	if s := fenceline(t, "init", "--node", "production.node-9"); s.status != ExitUsage || !strings.Contains(s.err, "--node") {
		t.Errorf("a node where a variable says --nats: %+v", s)
	}
	t.Setenv("FENCELINE_DIR", t.TempDir())
	if s := fenceline(t, "init", "--nats", "nats://127.0.0.1:9"); s.status != ExitFailed || !strings.Contains(s.err, "127.0.0.1:9") {
		t.Errorf("--nats, and a variable that says --dir: %+v", s)
	}
	if s := fenceline(t, "init"); s.status != ExitUsage {
		t.Errorf("variables for both: %+v", s)
	}
}

// TestInitWritesCertificatesAndLogins goes from the command line to the files.
func TestInitWritesCertificatesAndLogins(t *testing.T) {
	dir := t.TempDir()
	done(t, "init", "--dir", dir, "--tls", "nats=core.example.com", "--registry", "registry.example.com:5000")
	for _, file := range []string{"tls/ca.pem", "tls/nats.pem", "tls/nats-key.pem", "registry/htpasswd"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if s := fenceline(t, "init", "--dir", dir, "--tls", "Not a name"); s.status != ExitUsage || !strings.Contains(s.err, "Not a name") {
		t.Errorf("a bad name: status %d, %q", s.status, s.err)
	}
}
