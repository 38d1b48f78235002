package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// buildDeadline is for one build and its rollout, with a package download on a slow line.
const buildDeadline = 10 * time.Minute

// play shows the whole flow.
func (s *stage) play(ctx context.Context) error {
	watching, cancel := context.WithCancel(ctx)
	s.stopWatch = cancel
	var err error
	if s.lines, s.watchErr, err = s.fenceline.Watch(watching); err != nil {
		return err
	}
	if err := s.unhold(ctx); err != nil {
		return err
	}
	run := time.Now().UTC().Format("20060102-150405")

	first, err := s.firstPush(ctx, run)
	if err != nil {
		return err
	}
	if err := s.prove(ctx, first, run+".1"); err != nil {
		return err
	}
	second, err := s.secondPush(ctx, run, first)
	if err != nil {
		return err
	}
	if err := s.brokenPush(ctx, second); err != nil {
		return err
	}
	if err := s.rollback(ctx, first); err != nil {
		return err
	}
	return s.finish(ctx, first)
}

// unhold ends a hold that an earlier run left because it was ended before its own release.
func (s *stage) unhold(ctx context.Context) error {
	held, err := s.held(ctx)
	if err != nil || !held {
		return err
	}
	s.note("an earlier run left the fleet held: releasing it")
	_, err = s.fenceline.Run(ctx, "release")
	return err
}

func (s *stage) firstPush(ctx context.Context, run string) (image string, err error) {
	s.begin("git push: examples/" + s.example + " becomes the fleet's image")
	if err := s.repo.Folder(ctx, filepath.Join(s.root, "examples", s.example)); err != nil {
		return "", err
	}
	image, _, err = s.pushed(ctx, "first push", run+".1", func(hook string) string { return release(hook, run+".1") })
	return image, err
}

// changedBytes is far more than a changed hook's layer has, and far less than any other.
const changedBytes = 20e3

func (s *stage) secondPush(ctx context.Context, run, first string) (string, error) {
	s.begin("a second push: one hook changed, so only its layer moves")
	image, fetched, err := s.pushed(ctx, "second push", run+".2", func(hook string) string { return release(hook, run+".2") })
	if err != nil {
		return "", err
	}
	login, err := s.fenceline.Login()
	if err != nil {
		return "", err
	}
	lacking, err := site.Lacking(ctx, image, first, login)
	if err != nil {
		return "", err
	}
	s.step("moved", "%s: the layers that the image before lacks", size(lacking))
	return image, onlyTheHook(lacking, fetched)
}

// onlyTheHook sees that one changed hook moved its layer and nothing else: by what the image has
// that the one before lacks, and by what the node fetched. An engine may not tell the bytes of a
// layer that it fetches in no time: that none were counted says nothing.
func onlyTheHook(lacking, fetched int64) error {
	switch {
	case lacking <= 0:
		return errors.New("the image has no layer that the one before lacks, although a hook changed")
	case lacking > changedBytes:
		return fmt.Errorf("the image has %s that the one before lacks, for one changed hook", size(lacking))
	case fetched > changedBytes:
		return fmt.Errorf("the node fetched %s for one changed hook, so more than its layer moved", size(fetched))
	}
	return nil
}

// steps are what a push goes through until the fleet has its image.
var steps = []string{
	"received", "queued", "claimed", "base pinned", "built", "hooks checked", "pushed", "announced", "present", "trial passed", "flipped",
}

// pushed changes the pre-running hook, pushes, and follows the build through every step to its
// flip. It returns the image, and the bytes that the node fetched of it.
func (s *stage) pushed(ctx context.Context, scene, message string, edit func(string) string) (image string, fetched int64, err error) {
	commit, err := s.push(ctx, message, edit)
	if err != nil {
		return "", 0, err
	}
	lines, err := s.follow(ctx, scene, commit, "flipped")
	if err != nil {
		return "", 0, err
	}
	for _, step := range steps {
		if _, ok := lines[step]; !ok {
			return "", 0, fmt.Errorf("the build was flipped, but was never %s", step)
		}
	}
	return lines["flipped"].Image, lines["present"].Bytes, nil
}

func (s *stage) push(ctx context.Context, message string, edit func(string) string) (commit string, err error) {
	if err := s.repo.Edit("hooks/pre-running", edit); err != nil {
		return "", err
	}
	commit, err = s.repo.Commit(ctx, "Release "+message)
	if err != nil {
		return "", err
	}
	s.began = time.Now()
	said, err := s.repo.Push(ctx)
	if err != nil {
		return "", err
	}
	s.at(s.began, "git push", "commit %.12s", commit)
	for line := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(line, "remote: fenceline: "); ok {
			s.note("its hook says: " + strings.TrimSpace(text))
		}
	}
	return commit, nil
}

// follow shows the steps of the build of a commit until one of the given name, and returns
// them all by their names. Any other end of the build or its rollout is an error.
func (s *stage) follow(ctx context.Context, scene, commit, until string) (map[string]site.Line, error) {
	deadline := time.NewTimer(buildDeadline)
	defer deadline.Stop()
	lines := map[string]site.Line{}
	build, last := "", s.began
	for {
		select {
		case l, ok := <-s.lines:
			if !ok {
				return nil, errors.Join(errors.New("fenceline watch ended"), s.watchErr())
			}
			if l.Step == "received" && l.Commit == commit {
				build = l.Build
			}
			if build == "" || l.Build != build {
				continue
			}
			if l.Step != "rollout" {
				lines[l.Step] = l
				s.show(l)
				s.took(scene, l.Step, max(0, l.Time.Sub(last)))
				last = l.Time
			}
			if l.Step == until {
				s.took(scene, "in all", l.Time.Sub(s.began))
				return lines, nil
			}
			if why := over(l); why != "" {
				return nil, errors.New(why)
			}
		case <-s.up.Done():
			return nil, fmt.Errorf("fenceline up ended with status %d", s.up.ExitCode())
		case <-deadline.C:
			return nil, fmt.Errorf("nothing %s within %v", until, buildDeadline)
		case <-ctx.Done():
			return nil, errInterrupted
		}
	}
}

// over says how a build or its rollout ended where nothing flips, or is "".
func over(l site.Line) string {
	switch {
	case l.Failure != nil:
		return fmt.Sprintf("build %s failed: %s", l.Build, refusal(l.Failure))
	case slices.Contains([]string{"superseded", "cancelled", "trial failed", "node failed"}, l.Step),
		l.Step == "rollout" && slices.Contains([]string{"failed", "aborted", "superseded", "held"}, l.State):
		return fmt.Sprintf("build %s: %s %s: %s", l.Build, l.Step, l.State, l.Text)
	}
	return ""
}

// refusal is a failure with its findings, a line each.
func refusal(f *site.Failure) string {
	lines := []string{f.Reason}
	for _, x := range f.Findings {
		lines = append(lines, fmt.Sprintf("%s:%d: %s; %s", x.File, x.Line, x.Problem, x.Fix))
	}
	if len(f.Findings) == 0 {
		lines = append(lines, f.Detail, f.Fix)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func (s *stage) show(l site.Line) {
	text := strings.TrimSpace(l.Text)
	switch {
	case l.Failure != nil:
		text = refusal(l.Failure)
	case l.Step == "present":
		text = l.Node
		if l.Bytes > 0 { // an engine may leave out what it fetches in no time
			text += ": " + size(l.Bytes) + " fetched"
		}
	case l.Step == "trial passed":
		text = "on " + l.Node
	case l.Image != "":
		text = l.Image
	case text == "":
		text = l.Build
	}
	first, rest, _ := strings.Cut(text, "\n")
	s.at(l.Time, l.Step, "%s", first)
	s.note(rest)
}

func (s *stage) fence(ctx context.Context) (string, error) {
	out, err := s.fenceline.Run(ctx, "config", "get", "fence", "docker/image")
	return strings.TrimSpace(out), err
}

// release sets the variable that the pre-running hook exports to tell images apart.
func release(hook, value string) string {
	lines := strings.SplitAfter(hook, "\n")
	for i, l := range lines {
		for _, name := range []string{"EXAMPLECO_RELEASE=", "EXAMPLECO_SITE="} {
			if strings.HasPrefix(l, "export "+name) {
				lines[i] = "export " + name + value + "\n"
			}
		}
	}
	return strings.Join(lines, "")
}
