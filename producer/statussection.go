package producer

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/fenceline/fenceline/statuses/target"
	"github.com/rs/zerolog"
	"go.yaml.in/yaml/v3"
)

// Outward is where statuses and events go.
type Outward struct {
	Statuses []target.Target
	Sinks    Sinks
}

// StatusTargets are where statuses and events go, by a pipeline file that may change.
type StatusTargets struct {
	Path     string
	Interval time.Duration // between looks; 0 is DefaultLookInterval
	Logger   zerolog.Logger

	read map[string]stamp // as the files were when they were read
}

// Load reads where they go now.
func (s *StatusTargets) Load() (Outward, error) {
	out, read, err := loadOutward(s.Path)
	s.read = read
	return out, err
}

// Follow calls changed with other targets whenever the file, or one that it names, has changed, until ctx ends. While it can't be
// used as it is, those before stay, and the log says so. Load comes first.
func (s *StatusTargets) Follow(ctx context.Context, changed func(Outward)) {
	interval := s.Interval
	if interval == 0 {
		interval = DefaultLookInterval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := s.read
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := look(last)
		rests := sameFiles(now, last)
		if last = now; !rests || sameFiles(now, s.read) {
			continue
		}
		out, err := s.Load()
		if last = s.read; err != nil {
			s.Logger.Error().Err(err).Str("file", s.Path).Msg("the pipeline file can't be used as it is: statuses and events go where they went before")
			continue
		}
		s.Logger.Info().Str("file", s.Path).Int("pipelines", len(out.Statuses)).Int("sinks", len(out.Sinks.Sinks)).Msg("the pipeline file was read again: statuses and events go where it says")
		changed(out)
	}
}

// LoadStatusTargets reads of a pipeline file, or of a folder of them, where statuses go, and none of the secrets that
// webhooks have. The names of files count from the folder of the pipeline file.
func LoadStatusTargets(path string) ([]target.Target, error) {
	out, _, err := loadOutward(path)
	return out.Statuses, err
}

func loadOutward(path string) (out Outward, read map[string]stamp, err error) {
	l := &loading{elsewhere: true}
	p, err := l.pipelines(path)
	if err != nil {
		return out, p.read, err
	}
	for _, d := range p.declared {
		if d.status == nil {
			continue
		}
		t := *d.status
		for _, file := range []*string{&t.TokenFile, &t.CAFile} {
			if *file != "" && !filepath.IsAbs(*file) {
				*file = filepath.Join(l.folder, *file)
			}
		}
		out.Statuses = append(out.Statuses, t)
	}
	out.Sinks, err = p.outward(l.folder)
	return out, p.read, err
}

// status reads where the statuses of a pipeline's commits go.
func (d *document) status(x *declared) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		t := &target.Target{}
		forge := ""
		d.mapping(n, field, []key{
			{"forge", "name the forge: github, gitlab, gitea, forgejo, bitbucket or bitbucket-server", d.text(&forge, nil)},
			{"url", "", d.text(&t.URL, nil)},
			{"repository", "", d.text(&t.Repository, nil)},
			{"context", "", d.text(&t.Context, nil)},
			{"target_url", "", d.text(&t.TargetURL, nil)},
			{"token_file", "name a file with a token that may write statuses", d.text(&t.TokenFile, checkPasted)},
			{"ca_file", "", d.text(&t.CAFile, nil)},
		})
		t.Forge = target.Forge(forge)
		x.status, x.statusNode = t, n
	}
}

// fillStatus completes what status read by the rest of the pipeline.
func (d *document) fillStatus(x *declared, field string) {
	if x.status == nil {
		return
	}
	x.status.Pipeline = x.pipeline.Name
	filled, err := x.status.Fill(x.pipeline.Repository)
	var at *target.FieldError
	if errors.As(err, &at) {
		n := value(x.statusNode, at.Field)
		if n == nil {
			n = x.statusNode
		}
		d.Problem(n, join(join(field, "status"), at.Field), "%v", at.Err)
		return
	}
	x.status = &filled
	if filled.Plain() {
		d.Warn(x.statusNode, join(field, "status"), "the token goes to %s without TLS: give an https address as url where others share the network", filled.URL)
	}
}
