package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// katoLookEvery is how often another client looks at kato's store: half of that is the error of either side.
const katoLookEvery = 250 * time.Microsecond

// katoStore is the store of a stand-in for kato, which is quicker than the real one.
type katoStore struct{ program, file string }

// flipKato takes a flip of a fence config behind kato. The peer has a store of its own, so that the controller
// doesn't take its writes for a person's.
func flipKato(ctx context.Context, o options) (_ Figure, err error) {
	dir, err := os.MkdirTemp(o.dir, "bench-kato-")
	if err != nil {
		return Figure{}, fmt.Errorf("making a folder for kato: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ours, err := newKato(ctx, filepath.Join(dir, "ours"))
	if err != nil {
		return Figure{}, err
	}
	peer, err := newKato(ctx, filepath.Join(dir, "peer"))
	if err != nil {
		return Figure{}, err
	}
	return flips(ctx, o, fenceStore{
		figure: "flip_kato_ms", peer: "kato config set", args: []string{"--fence", "kato", "--kato", ours.program}, reads: ours.reads, write: peer.write,
	})
}

// newKato makes a kato with a store beside it.
func newKato(ctx context.Context, dir string) (katoStore, error) {
	k := katoStore{filepath.Join(dir, "kato"), filepath.Join(dir, "kato.json")}
	build := exec.CommandContext(ctx, "go", "build", "-o", k.program, "./fence/kato/standin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return k, fmt.Errorf("building the stand-in for kato: %w\n%s", err, out)
	}
	if err := os.WriteFile(k.file, []byte(`{"config": {"fence": {"docker": {"image": ""}}}}`), 0o600); err != nil {
		return k, fmt.Errorf("writing kato's store: %w", err)
	}
	return k, nil
}

// write sets a value as an administrator does.
func (k katoStore) write(ctx context.Context, image string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, flipTimeout)
	defer cancel()
	began := time.Now()
	cmd := exec.CommandContext(ctx, k.program, "config", "set", "fence", "docker/image", image)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("running kato: %w", err)
	}
	err := k.reads(ctx, image)
	took := time.Since(began)
	if ended := cmd.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("kato: %w", ended))
	}
	return took, err
}

// reads waits until the store has a value.
func (k katoStore) reads(ctx context.Context, image string) error {
	tick := time.NewTicker(katoLookEvery)
	defer tick.Stop()
	for {
		var s struct {
			Config struct {
				Fence struct{ Docker struct{ Image string } }
			}
		}
		b, err := os.ReadFile(k.file)
		if err == nil {
			err = json.Unmarshal(b, &s)
		}
		if err != nil {
			return fmt.Errorf("reading kato's store: %w", err)
		}
		if s.Config.Fence.Docker.Image == image {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for kato's store to name %s: %w", image, context.Cause(ctx))
		}
	}
}
