package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the program that the tests start.
func TestMain(m *testing.M) {
	switch os.Getenv("SITE_TEST_CHILD") {
	case "environment":
		for _, v := range os.Environ() {
			_, _ = os.Stdout.WriteString(v + "\n")
		}
		os.Exit(0)
	case "watch":
		fmt.Printf("{\"step\":\"watching\"}\n{\"step\":\"received\",\"text\":\"%d\"}\n", os.Getpid())
		select {}
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		_, _ = os.Stdout.WriteString("deaf\n")
		select {}
	}
	os.Exit(m.Run())
}

// An operator's terminal may point at an installation in use: what runs here must never reach it.
func TestCommandsStayWithTheirOwnInstallation(t *testing.T) {
	t.Setenv("SITE_TEST_CHILD", "environment")
	t.Setenv("FENCELINE_NATS", "nats://production:4222")
	t.Setenv("FENCELINE_STATE", "/elsewhere")
	t.Setenv("FENCELINE_RUNC", "/opt/runc")
	t.Setenv("GIT_DIR", "/the/checkout/.git")
	out, err := Fenceline{Program: os.Args[0], State: "/here"}.Run(t.Context(), "rollback")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out, "production") || strings.Contains(out, "/elsewhere") || !strings.Contains(out, "FENCELINE_STATE=/here\n") {
		t.Errorf("a command has the environment\n%s", out)
	}
	p, err := Start(Program{Path: os.Args[0]})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out := p.Output(); strings.Contains(out, "FENCELINE_") || strings.Contains(out, "GIT_DIR") {
		t.Errorf("a program has the environment\n%s", out)
	}
	if kept := strings.Join(Environment("FENCELINE_RUNC"), "\n"); !strings.Contains(kept, "FENCELINE_RUNC=/opt/runc") {
		t.Errorf("what is to be kept is not in\n%s", kept)
	}
}

func TestAProcessThatDoesNotEndIsKilled(t *testing.T) {
	t.Setenv("SITE_TEST_CHILD", "deaf")
	p, err := Start(Program{Path: os.Args[0]})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Until(ctx, func(context.Context) error {
		if !strings.Contains(p.Output(), "deaf") {
			return errors.New("it has not begun")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(10 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("Stop of a deaf process: %v", err)
	}
	select {
	case <-p.Done():
	default:
		t.Error("it still runs")
	}
}

func TestUntilSaysWhatTheCheckSaidLast(t *testing.T) {
	late := errors.New("not in time")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, late)
	defer cancel()
	said := errors.New("1 of 2 nodes")
	if err := Until(ctx, func(context.Context) error { return said }); !errors.Is(err, late) || !errors.Is(err, said) {
		t.Errorf("Until: %v", err)
	}
}

func TestAFolderReplacesTheWorkTree(t *testing.T) {
	server, err := ServeGit("127.0.0.1:0", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	r, err := server.Repository(t.Context(), "base")
	if err != nil {
		t.Fatal(err)
	}
	from := t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "hook"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Write(map[string]string{"old": "gone soon"}), r.Folder(t.Context(), from)); err != nil {
		t.Fatal(err)
	}
	commit, err := r.Commit(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Push(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := Git(t.Context(), "", "ls-remote", r.URL, "refs/heads/main")
	if err != nil || !strings.HasPrefix(out, commit) {
		t.Errorf("the served head is %q, %v; want %s", out, err, commit)
	}
	files, err := Git(t.Context(), r.Bare, "ls-tree", "-r", "main")
	if err != nil || !strings.HasPrefix(files, "100755 ") || strings.Contains(files, "old") {
		t.Errorf("the commit has %q, %v", files, err)
	}
	// Whoever could push by HTTP would reach the fleet.
	if out, err := Git(t.Context(), filepath.Join(server.root, "base"), "push", r.URL, "HEAD:main"); err == nil {
		t.Errorf("a push by HTTP was taken: %s", out)
	}
}

func TestAWatchIsGoneOnceItsLinesEnd(t *testing.T) {
	t.Setenv("SITE_TEST_CHILD", "watch")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines, failure, err := Fenceline{Program: os.Args[0], State: t.TempDir()}.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi((<-lines).Text)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for l := range lines {
		t.Errorf("one line too many: %+v", l)
	}
	if err := failure(); err != nil {
		t.Errorf("a watch that was ended failed: %v", err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d still runs: %v", pid, err)
	}
}

func TestAWatchThatDiesSaysWhy(t *testing.T) {
	t.Setenv("SITE_TEST_CHILD", "environment")
	if _, _, err := (Fenceline{Program: os.Args[0], State: t.TempDir()}).Watch(t.Context()); err == nil || !strings.Contains(err.Error(), "fenceline watch wrote") {
		t.Errorf("Watch: %v", err)
	}
}
