package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// Where install puts things.
const (
	settingsFolder = "/etc/fenceline"
	unitFolder     = "/etc/systemd/system"
	installedAt    = "/usr/local/bin/fenceline"
)

func settingsPath(role string) string { return settingsFolder + "/" + role + ".yaml" }
func passwordPath(role string) string { return settingsFolder + "/" + role + ".password" }
func unitPath(role string) string     { return unitFolder + "/" + serviceOf(role) }
func serviceOf(role string) string    { return userOf(role) + ".service" }
func userOf(role string) string       { return "fenceline-" + role }

// dockerGroup is the group that may speak to the Docker engine.
const dockerGroup = "docker"

// NewCommand is `fenceline install`.
func NewCommand() *cobra.Command {
	var role, root, binary string
	var dry bool
	cmd := &cobra.Command{
		Use: "install", Short: "Make a role a service of this machine's systemd",
		Long: `Writes what a role needs to run under systemd: the program, a user of its own that can do
nothing else, a settings file to fill in, an empty file for its NATS password, and a unit
that is locked down. It starts nothing. It may be run again: what is there is left alone, and
a unit that was changed by hand is refused; local changes belong into a drop-in.`,
		Example: "  fenceline install --role distributor --dry-run\n  fenceline install --role distributor\n" +
			"  fenceline install --role builder --root /mnt/image",
		Args: settings.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if role == "" {
				return settings.Usagef("--role is missing: name producer, builder, controller, distributor, statuses or console")
			}
			if err := settings.CheckRole(role); err != nil {
				return err
			}
			if binary == "" {
				own, err := os.Executable()
				if err != nil {
					return fmt.Errorf("looking for this program: %w: name it with --binary", err)
				}
				binary = own
			}
			m := thisMachine(root)
			return m.install(cmd.Context(), cmd.OutOrStdout(), role, binary, dry)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&role, "role", "", "producer, builder, controller, distributor, statuses or console")
	fs.BoolVar(&dry, "dry-run", false, "print what would be written and run, and do nothing")
	settings.FolderVar(fs, &root, "root", "", "folder of another system, such as an image's, to install into")
	settings.Explain(fs, "root", "Paths in what is written are those of that system.")
	settings.FileVar(fs, &binary, "binary", "", "program to install as "+installedAt+" where there is none")
	settings.DefaultsTo(fs, "binary", "the one that runs")
	settings.Need(fs, "role")
	return cmd
}

// machine is the system that is installed into. Its functions are what a test can't do.
type machine struct {
	root  string // folder that its paths are below; "" for the running system
	run   func(ctx context.Context, name string, args ...string) error
	chown func(path string, uid, gid int) error
	uid   int
	boots string // folder that is there where systemd runs
}

// install makes a plan and carries it out, or prints it where dry is set.
func (m *machine) install(ctx context.Context, out io.Writer, role, binary string, dry bool) error {
	if err := m.may(dry); err != nil {
		return err
	}
	p, err := m.plan(role, binary, dry)
	if err != nil {
		return err
	}
	page := terminal.NewPage(out)
	for _, s := range p.steps {
		if !dry && s.left == "" {
			if err := s.do(ctx); err != nil {
				return fmt.Errorf("%s: %w", s.what, err)
			}
		}
		s.print(page, dry)
	}
	page.Text("", p.next)
	return page.Flush()
}

// may refuses what would end half-way.
func (m *machine) may(dry bool) error {
	if dry {
		return nil
	}
	if m.uid != 0 { // to give files to the role's user, also below another root
		return errors.New("installing a service: it takes root: run it with sudo, or add --dry-run to see what it does")
	}
	if m.root != "" {
		return nil
	}
	if _, err := os.Stat(m.boots); err != nil {
		return errors.New("installing a service: this machine doesn't run systemd: give the folder of one that does with --root, or start 'fenceline run' by what this one has; --dry-run shows how it is started")
	}
	return nil
}

// at is where a path of the system is.
func (m *machine) at(path string) string { return filepath.Join(m.root, path) }

// step is one thing that install does.
type step struct {
	thing   string // path, or what it is
	what    string // is done to it, in words
	content string // of a file, for --dry-run
	left    string // why there is nothing to do, or ""
	do      func(ctx context.Context) error
}

func (s step) print(p *terminal.Page, dry bool) {
	switch {
	case s.left != "":
		p.Line("left alone: %s: %s", s.thing, s.left)
	case dry:
		p.Line("would do: %s", s.what)
		p.Text("    ", s.content)
	default:
		p.Line("done: %s", s.what)
	}
}
