package apply

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
)

// DefaultTimeout is how long a command may run where nothing else is said.
const DefaultTimeout = time.Minute

// Config says what is written where, and run then.
type Config struct {
	File     string // that the node's software reads
	Format   string // one of the Formats; "" is FormatPlain, or FormatTemplate where Template is set
	Key      string // of FormatEnv the variable, of FormatTOML the key; "" is their default
	Template string // file with the template of FormatTemplate
	Command  string // for /bin/sh, after the file was written; "" for none
	Timeout  time.Duration
	State    string // file that keeps what was done; "" is one beside File
	Logger   zerolog.Logger
}

// Target is where a node applies images. Make it with New. It is for one goroutine.
type Target struct {
	cfg   Config
	form  form
	state *state // as last read or written; nil before
	log   zerolog.Logger
}

// New checks the configuration. It reads the template, and nothing else.
func New(c Config) (*Target, error) {
	if c.File == "" {
		return nil, wrong(FieldFile, "the file to write is missing: name the one that the node's software reads")
	}
	if c.Timeout < 0 {
		return nil, wrong(FieldTimeout, "%s: the command's time limit must not be negative", c.Timeout)
	}
	if c.Command == "" && c.limits() {
		return nil, wrong(FieldTimeout, "%s limits a command, and none is given: leave it out", c.Timeout)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	for _, path := range []*string{&c.File, &c.State} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return nil, fmt.Errorf("finding %s: %w", *path, err)
		}
		*path = absolute
	}
	if c.State == "" {
		c.State = filepath.Join(filepath.Dir(c.File), "."+filepath.Base(c.File)+".fenceline")
	}
	if c.State == c.File {
		return nil, wrong(FieldState, "%s is the file that is written itself: what was done is kept in another", c.State)
	}
	f, err := newForm(c)
	if err != nil {
		return nil, err
	}
	return &Target{cfg: c, form: f, log: c.Logger.With().Str("file", c.File).Logger()}, nil
}

// Given tells whether anything is to be applied.
func (c *Config) Given() bool {
	return c.File != "" || c.Format != "" || c.Key != "" || c.Template != "" || c.Command != "" || c.State != "" || c.limits()
}

// limits tells whether a time limit is asked for.
func (c *Config) limits() bool { return c.Timeout != 0 && c.Timeout != DefaultTimeout }

// Check tells what would keep an image from being applied now, without changing anything that stays.
func (t *Target) Check() error {
	f, err := readFile(t.cfg.File)
	if err != nil {
		return err
	}
	if _, _, err := t.form.render(f.content, sample()); err != nil {
		return fmt.Errorf("%s: %w", t.cfg.File, err)
	}
	if _, err := readState(t.cfg.State); err != nil {
		return err
	}
	if err := tryFolder(f.path); err != nil {
		return err
	}
	return tryFolder(t.cfg.State)
}

// Describe says in a line what is applied.
func (t *Target) Describe() string {
	out := fmt.Sprintf("%s as %s", t.cfg.File, t.form.name())
	if t.cfg.Command != "" {
		out += ", then a command within " + t.cfg.Timeout.String()
	}
	return out
}
