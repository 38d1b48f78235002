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
func (s *scene) play(ctx context.Context) error {
	watching, cancel := context.WithCancel(ctx)
	s.stopWatch = cancel
	s.lines, s.watchErr = s.fenceline.Watch(watching)
	run := time.Now().UTC().Format("20060102-150405")

	first, err := s.firstPush(ctx, run)
	if err != nil {
		return err
	}
	if err := s.prove(ctx, first, run+".1"); err != nil {
		return err
	}
	second, err := s.secondPush(ctx, run)
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

func (s *scene) firstPush(ctx context.Context, run string) (image string, err error) {
	s.begin("git push: examples/" + s.example + " becomes the fleet's image")
	if err := s.repo.Folder(ctx, filepath.Join(s.root, "examples", s.example)); err != nil {
		return "", err
	}
	return s.pushed(ctx, "first push", run+".1", func(hook string) string { return release(hook, run+".1") })
}

func (s *scene) secondPush(ctx context.Context, run string) (string, error) {
	s.begin("a second push: one hook changed, so only its layer moves")
	return s.pushed(ctx, "second push", run+".2", func(hook string) string { return release(hook, run+".2") })
}

// pushed changes the pre-running hook, pushes, and follows the build to its flip.
func (s *scene) pushed(ctx context.Context, scene, message string, edit func(string) string) (image string, err error) {
	if err := s.push(ctx, message, edit); err != nil {
		return "", err
	}
	flipped, err := s.follow(ctx, scene, "flipped")
	if err != nil {
		return "", err
	}
	value, err := s.fence(ctx)
	if err != nil {
		return "", err
	}
	if flipped.Image != "" && value != flipped.Image {
		return "", s.explain(fmt.Errorf("the fence config has %s, but the rollout flipped to %s", value, flipped.Image))
	}
	return value, nil
}

func (s *scene) push(ctx context.Context, message string, edit func(string) string) error {
	if err := s.repo.Edit("hooks/pre-running", edit); err != nil {
		return err
	}
	commit, err := s.repo.Commit(ctx, "Release "+message)
	if err != nil {
		return err
	}
	s.began = time.Now()
	said, err := s.repo.Push(ctx)
	if err != nil {
		return err
	}
	s.step("git push", "commit %.12s", commit)
	for line := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(line, "remote: "); ok {
			s.note("git says: " + strings.TrimSpace(text))
		}
	}
	return nil
}

// refused are the steps that end a build or a rollout without a flip.
func refused() []string {
	return []string{"failed", "superseded", "cancelled", "dead", "rollout failed", "aborted"}
}

// follow shows the steps of the build that was just pushed until one of the given name. A
// step that ends it otherwise is an error that says what that step says.
func (s *scene) follow(ctx context.Context, scene, until string) (site.Line, error) {
	deadline := time.NewTimer(buildDeadline)
	defer deadline.Stop()
	last := s.began
	for {
		select {
		case l, ok := <-s.lines:
			if !ok {
				return l, s.explain(errors.Join(errors.New("fenceline watch ended"), s.watchErr()))
			}
			if l.Step == "" {
				continue // output of the build: fenceline logs has it
			}
			s.show(l)
			s.took(scene, l.Step, time.Since(last))
			last = time.Now()
			if l.Step == until {
				s.took(scene, "in all", time.Since(s.began))
				return l, nil
			}
			if slices.Contains(refused(), l.Step) {
				return l, s.explain(fmt.Errorf("the build ended as %s: %s", l.Step, l.Text))
			}
		case <-s.up.Done():
			return site.Line{}, s.explain(fmt.Errorf("fenceline up ended with status %d", s.up.ExitCode()))
		case <-deadline.C:
			return site.Line{}, s.explain(fmt.Errorf("nothing %s within %v", until, buildDeadline))
		case <-ctx.Done():
			return site.Line{}, errInterrupted
		}
	}
}

func (s *scene) show(l site.Line) {
	text := strings.TrimSpace(l.Text)
	switch {
	case l.Step == "present":
		text = strings.TrimSpace(l.Node + " " + text)
		if l.Bytes > 0 {
			text += fmt.Sprintf(" (%s fetched)", size(l.Bytes))
		}
	case l.Image != "" && !strings.Contains(text, l.Image):
		text = strings.TrimSpace(l.Image + " " + text)
	case text == "":
		text = l.Build
	}
	lines := strings.SplitN(text, "\n", 2)
	s.step(l.Step, "%s", lines[0])
	if len(lines) > 1 {
		s.note(lines[1])
	}
}

func (s *scene) fence(ctx context.Context) (string, error) {
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
