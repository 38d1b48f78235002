package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// flipKato takes a flip of a fence config behind kato, for which its stand-in is built.
func flipKato(ctx context.Context, o options) (_ Figure, err error) {
	dir, err := os.MkdirTemp(o.dir, "bench-kato-")
	if err != nil {
		return Figure{}, fmt.Errorf("making a folder for kato: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	kato, file := filepath.Join(dir, "kato"), filepath.Join(dir, "kato.json")
	build := exec.CommandContext(ctx, "go", "build", "-o", kato, "./fence/kato/standin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return Figure{}, fmt.Errorf("building the stand-in for kato: %w\n%s", err, out)
	}
	if err := os.WriteFile(file, []byte(`{"config": {"fence": {"docker": {"image": "stackato/stack-alsek"}}}}`), 0o600); err != nil {
		return Figure{}, fmt.Errorf("writing kato's store: %w", err)
	}
	return flipFigure(ctx, o, "flip_kato_ms", "kato config set", fenceStore{
		flags: []string{"--fence", "kato", "--kato", kato},
		read: func() (string, error) {
			var s struct {
				Config struct {
					Fence struct{ Docker struct{ Image string } }
				}
			}
			b, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(b, &s)
			}
			return s.Config.Fence.Docker.Image, err
		},
		set: func(ctx context.Context, value string) *exec.Cmd {
			return exec.CommandContext(ctx, kato, "config", "set", "fence", "docker/image", value)
		},
	})
}
