package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/yamlfile"
)

// plan is what install does for a role, and what is left to people then.
type plan struct {
	steps []step
	next  string
}

func thisMachine(root string) *machine {
	return &machine{
		root: root, uid: os.Geteuid(), chown: os.Lchown, boots: "/run/systemd/system",
		run: func(ctx context.Context, name string, args ...string) error {
			if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
			}
			return nil
		},
	}
}

// plan looks at the system, changes nothing, and refuses what can't end well. One that is only
// to be shown may want what is not there yet.
func (m *machine) plan(role, binary string, dry bool) (plan, error) {
	user, err := m.userStep(role, dry)
	if err != nil {
		return plan{}, err
	}
	program, err := m.programStep(binary)
	if err != nil {
		return plan{}, err
	}
	folder, err := m.folderStep()
	if err != nil {
		return plan{}, err
	}
	file, err := m.settingsStep(role)
	if err != nil {
		return plan{}, err
	}
	password, err := m.passwordStep(role)
	if err != nil {
		return plan{}, err
	}
	unit, err := m.unitStep(role)
	if err != nil {
		return plan{}, err
	}
	steps := []step{program, user, folder, file, password, unit}
	if m.root == "" && unit.left == "" {
		steps = append(steps, m.command("systemctl", "daemon-reload"))
	}
	return plan{steps, nextSteps(role)}, nil
}

func (m *machine) command(name string, args ...string) step {
	return step{
		what: "run " + name + " " + strings.Join(args, " "),
		do:   func(ctx context.Context) error { return m.run(ctx, name, args...) },
	}
}

// userStep makes the role's user: without a shell, a home or a password.
func (m *machine) userStep(role string, dry bool) (step, error) {
	name := userOf(role)
	users, err := m.account("/etc/passwd", name)
	if err != nil {
		return step{}, err
	}
	var group []string
	if role == settings.RoleDistributor {
		group = []string{"--groups", dockerGroup}
		if found, err := m.account("/etc/group", dockerGroup); err != nil {
			return step{}, err
		} else if found == nil && !dry {
			return step{}, fmt.Errorf("there is no group %s in %s: install the Docker engine first, its socket belongs to it", dockerGroup, m.at("/etc/group"))
		} else if users != nil {
			return m.memberStep(name, found), nil
		}
	}
	args := append([]string{"--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"}, group...)
	if m.root != "" {
		args = append(args, "--prefix", m.root)
	}
	s := m.command("useradd", append(args, name)...)
	s.thing = "user " + name
	if users != nil {
		s.left = "it is there"
	}
	return s, nil
}

// memberStep lets a user that is there speak to the Docker engine; group is the group's line.
func (m *machine) memberStep(name string, group []string) step {
	args := []string{"--append", "--groups", dockerGroup}
	if m.root != "" {
		args = append(args, "--prefix", m.root)
	}
	s := m.command("usermod", append(args, name)...)
	s.thing = "user " + name
	for _, member := range strings.Split(group[len(group)-1], ",") {
		if member == name {
			s.left = "it is there, and a member of " + dockerGroup
		}
	}
	return s
}

// account is a line of passwd or group by its name, as fields, or nil where there is none.
func (m *machine) account(file, name string) ([]string, error) {
	content, err := os.ReadFile(m.at(file))
	if err != nil {
		return nil, fmt.Errorf("looking for %s: %w: --root takes the folder of a whole system", name, err)
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); fields[0] == name && len(fields) >= 4 {
			return fields, nil
		}
	}
	return nil, nil
}

// programStep copies the program where there is none.
func (m *machine) programStep(binary string) (step, error) {
	to := m.at(installedAt)
	s := step{thing: to, what: fmt.Sprintf("copy %s to %s (root:root, 0755)", binary, to)}
	content, err := os.ReadFile(binary)
	if err != nil {
		return s, fmt.Errorf("reading the program: %w: name it with --binary", err)
	}
	there, err := os.ReadFile(to)
	switch {
	case err == nil && bytes.Equal(there, content):
		s.left = "it is the same program"
	case err == nil:
		s.left = "it is another build; replace it with: install -m 0755 " + binary + " " + to
	case !errors.Is(err, fs.ErrNotExist):
		return s, err
	}
	s.do = func(context.Context) error { return m.write(to, content, 0o755, "") }
	return s, nil
}

// folderStep makes the folder of the settings one that the roles' users can enter. What is in
// it is read by whom its own mode says.
func (m *machine) folderStep() (step, error) {
	path := m.at(settingsFolder)
	s := step{thing: path, what: "make the folder " + path + " (root:root, 0755)", do: func(context.Context) error {
		return errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, 0o755)) //nolint:gosec // for all roles to enter, whatever the umask
	}}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return s, err
	case !info.IsDir():
		return s, fmt.Errorf("%s is a file: it has to be a folder", path)
	case info.Mode()&0o001 != 0:
		s.left = "it is there"
	default:
		mode := info.Mode().Perm() | 0o011
		s.what = fmt.Sprintf("let users enter %s, though not list it (%04o)", path, mode)
		s.do = func(context.Context) error { return os.Chmod(path, mode) }
	}
	return s, nil
}

func (m *machine) settingsStep(role string) (step, error) {
	path := m.at(settingsPath(role))
	content := settings.Skeleton(role, settingsPath(role))
	s := step{thing: path, what: "write " + path + " (root:root, 0644)", content: content}
	s.do = func(context.Context) error { return m.write(path, []byte(content), 0o644, "") }
	if _, err := os.Lstat(path); err == nil {
		s.left = "it is there, with your settings"
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	return s, nil
}

// passwordStep makes the file for the NATS password, so that it belongs to the role's user alone
// before there is a password in it.
func (m *machine) passwordStep(role string) (step, error) {
	path, user := m.at(passwordPath(role)), userOf(role)
	s := step{thing: path, what: fmt.Sprintf("make %s (%s:%s, 0400), empty", path, user, user)}
	s.do = func(context.Context) error { return m.write(path, nil, 0o400, user) }
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return s, err
	case !info.Mode().IsRegular():
		return s, fmt.Errorf("%s is no file: move it away", path)
	case info.Mode().Perm()&0o077 == 0 && m.owns(user, info):
		s.left = "it is there, and its user's alone"
	default:
		s.what = fmt.Sprintf("give %s to %s alone (%s:%s, 0400)", path, user, user, user)
		s.do = func(context.Context) error { return errors.Join(m.give(path, user), os.Chmod(path, 0o400)) }
	}
	return s, nil
}

// graceOf is the grace of the role's settings, if there are any that can be read yet.
func (m *machine) graceOf(role string) time.Duration {
	path := m.at(settingsPath(role))
	content, err := yamlfile.Content(path, "settings file")
	if err != nil {
		return settings.DefaultGrace
	}
	found, _ := settings.Parse(path, content, role) // its mistakes are for doctor and the role to tell
	if d, err := time.ParseDuration(found.Text("grace")); err == nil {
		return d
	}
	return settings.DefaultGrace
}

func (m *machine) unitStep(role string) (step, error) {
	path, content := m.at(unitPath(role)), unit(role, m.graceOf(role))
	s := step{thing: path, what: "write " + path + " (root:root, 0644)", content: content}
	s.do = func(context.Context) error { return m.write(path, []byte(content), 0o644, "") }
	there, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return s, err
	case string(there) == content:
		s.left = "it is the same"
	case unchanged(string(there)):
		s.what = "write " + path + " (root:root, 0644) in place of an earlier install's"
	default:
		return s, fmt.Errorf("%s was changed by hand, and nothing was done: move the changes into %s.d/local.conf, where 'systemctl edit %s' puts them too, remove the file, and run this again",
			path, path, userOf(role))
	}
	return s, nil
}
