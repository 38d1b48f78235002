package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/fenceline/fenceline/fence/confdis/redistest"
)

// component is a document as Stackato's Redis has them, with an image.
func component(image string) string {
	return fmt.Sprintf(`{"docker":{"image":"%s","port":4243},"max_memory":536870912,"warden":{"quota":{"fsize":512}}}`, image)
}

// flipConfdis takes a flip in Stackato's Redis. The peer has a server of its own, so that the controller
// doesn't take its writes for a person's.
func flipConfdis(ctx context.Context, o options) (_ Figure, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var servers [2]*redistest.Server
	var texts [2]<-chan string
	for n := range servers {
		if servers[n], err = redistest.Serve(""); err != nil {
			return Figure{}, err
		}
		defer func() { err = errors.Join(err, servers[n].Remove()) }()
		if _, err := servers[n].CLI(`{"docker":{}}`, "set", "fence"); err != nil {
			return Figure{}, err
		}
		if texts[n], err = servers[n].Watch(ctx, "fence"); err != nil {
			return Figure{}, err
		}
	}
	reads := reader(texts[1])
	return flips(ctx, o, fenceStore{
		figure: "flip_confdis_ms", peer: "redis-cli",
		args:  []string{"--fence", "confdis", "--redis-uri", servers[0].URI()},
		reads: reader(texts[0]),
		write: func(ctx context.Context, image string) (time.Duration, error) {
			began := time.Now()
			cmd := exec.CommandContext(ctx, "redis-cli", "-s", servers[1].Socket, "-e")
			cmd.Stdin = strings.NewReader("SET fence '" + component(image) + "'\nPUBLISH fence:_changes confdis\n")
			if out, err := cmd.CombinedOutput(); err != nil {
				return 0, fmt.Errorf("redis-cli: %w\n%s", err, out)
			}
			err := reads(ctx, image)
			return time.Since(began), err
		},
	})
}
