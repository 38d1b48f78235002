package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/imagediff"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/spf13/cobra"
)

// errDiffer tells that images differ. How was printed.
var errDiffer = errors.New("the images differ")

// diffed is what `diff` is told.
type diffed struct {
	platform, dockerConfig string
	registries             settings.Registries
	exitCode               bool
}

func newDiffCmd() *cobra.Command {
	var o diffed
	cmd := &cobra.Command{
		Use: "diff [A] B", Short: "Show how two images differ: packages, hooks, settings, layers",
		Long: `Reads two images from their registries and shows which packages were added, removed or changed
(dpkg, apk and rpm), how the admin hooks changed, the environment, the user and other settings,
and the layers that only one of them has, with their sizes and what made them.

A and B are each one of:
  FLEET             the current image of a fleet
  FLEET~1           its previous image
  BUILD             the image that a build made
  sha256:…          an image that the records know
  NAME@sha256:…     any image
  NAME:TAG          what a tag names now
Of a build's ID or a digest the beginning is enough where it is the only one; a fleet's name
goes before a build's. Given B alone it is compared with the image before it: of a fleet its
previous one, of a build that of the last earlier build of the same branch or tag.

Layers are read as they come, and not kept; those that both images begin with once. Links are
followed within the image. What can't be told is said as unknown.

Exit status: 0 whether they differ or not; with --exit-code 3 where they do; 1 where an image
can't be read; 2 where a flag is wrong.`,
		Example: `  fenceline diff production
  fenceline diff production staging
  fenceline diff registry.example.com/base:24.04 production -o json`,
		Args: settings.Args(1, 2),
	}
	fs := cmd.Flags()
	fs.StringVar(&o.platform, "platform", "", "which image of an index is meant, OS/ARCH (default: linux on this machine's architecture, or the index's first)")
	fs.BoolVar(&o.exitCode, "exit-code", false, "exit with 3 where the images differ")
	settings.FolderVar(fs, &o.dockerConfig, "docker-config", "", "folder of the config.json with the registries' logins (default: with that of up's registry, in its folder)")
	o.registries.Add(fs)
	settings.Explain(fs, "registry-ca-file", "In PEM.")
	settings.Explain(fs, "registry-plain-http", "As images' names have it. One on a loopback or private address needs none.")
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		d, err := s.diff(ctx, &o, args)
		if err != nil {
			return err
		}
		if err := s.print(d, d.Write); err != nil {
			return err
		}
		if o.exitCode && d.Differs {
			return errDiffer
		}
		return nil
	}, "docker-config", "registry-ca-file", "registry-plain-http")
}

// diff compares two images, or one with the image before it.
func (s *session) diff(ctx context.Context, o *diffed, words []string) (*imagediff.Diff, error) {
	if o.platform != "" && strings.Count(o.platform, "/") != 1 && strings.Count(o.platform, "/") != 2 {
		return nil, settings.Usagef("--platform %q: give OS/ARCH, such as linux/arm64", o.platform)
	}
	c, err := imagediff.New(imagediff.Config{
		Registries: imagediff.Registries{DockerConfig: cmp.Or(o.dockerConfig, s.access.dockerConfig), CAFile: o.registries.CAFile, PlainHTTP: o.registries.PlainHTTP},
		Hooks:      hooks.Names(),
	})
	if err != nil {
		return nil, err
	}
	known, err := overview.ReadImages(ctx, s.queue)
	if err != nil {
		return nil, err
	}
	to, found, err := meant(known, words[len(words)-1])
	if err != nil {
		return nil, err
	}
	var from imagediff.Wanted
	switch {
	case len(words) == 2:
		from, _, err = meant(known, words[0])
	case found.Image == "":
		err = fmt.Errorf("the records don't know %s, nor the image before it: name the one to compare with", to.Ref)
	default:
		var before overview.KnownImage
		before, err = known.Before(found)
		from = wantedOf(before)
	}
	if err != nil {
		return nil, err
	}
	return c.Compare(ctx, from, to, o.platform)
}

// meant is the image that a word means, and what the records know of it, where they do.
func meant(known *overview.Images, word string) (imagediff.Wanted, overview.KnownImage, error) {
	found, err := known.Find(word)
	if err == nil {
		return wantedOf(found), found, nil
	}
	name, _, pinned := strings.Cut(word, "@")
	tagged := strings.Contains(word, "/") || strings.Contains(word, ":") && !strings.HasPrefix(word, "sha256:")
	if pinned && messages.CheckImageName(name) == nil || !pinned && tagged {
		return imagediff.Wanted{Ref: word}, overview.KnownImage{}, nil
	}
	return imagediff.Wanted{}, overview.KnownImage{}, fmt.Errorf("%w; or give NAME@sha256:… or NAME:TAG of a registry", err)
}

func wantedOf(k overview.KnownImage) imagediff.Wanted {
	return imagediff.Wanted{Ref: string(k.Image), HooksDir: k.HooksDir}
}
