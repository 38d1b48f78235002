package docker

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// seen is what a look into an image tells of how its hooks run.
type seen struct {
	user   string            // that they run as; "" is the image's own
	shell  string            // that they are run from; "" where the image has none
	shells map[string]string // what must run a hook without a shebang, "" where the kernel does, by the hook's path
	absent map[string]error  // hooks that can't be run at all
}

// command is what runs a hook.
func (s *seen) command(file string) ([]string, error) {
	if err := s.absent[file]; err != nil {
		return nil, err
	}
	if shell := s.shells[file]; shell != "" {
		return []string{shell, file}, nil
	}
	return []string{file}, nil
}

// look makes a container of the image, without starting it, and reads what decides how hooks run.
func (e *Engine) look(ctx context.Context, t distributor.Trial, hooks []string) (s *seen, err error) {
	id, err := e.createTrial(ctx, t, string(t.Image), "", startCheck)
	if err != nil {
		return nil, e.createFault(ctx, t, err)
	}
	defer func() { err = errors.Join(err, e.removeContainer(ctx, id)) }()
	s = &seen{shells: map[string]string{}, absent: map[string]error{}}
	if s.user, err = e.trialUser(ctx, t, id); err != nil {
		return nil, err
	}
	if s.shell, err = e.firstOf(ctx, id, shells...); err != nil {
		return nil, err
	}
	for _, hook := range hooks {
		file := t.HooksDir + "/" + hook
		shell, err := e.shellFor(ctx, id, file)
		if verdict := (verdictError{}); errors.As(err, &verdict) {
			s.absent[file] = err
		} else if err != nil {
			return nil, err
		}
		s.shells[file] = shell
	}
	return s, nil
}

// trialUser is the user that hooks run as: the policy's, or fence's where the image has it, or the
// image's own. The image's own has to be one that it has in any case, as apps start as that user.
func (e *Engine) trialUser(ctx context.Context, t distributor.Trial, id string) (string, error) {
	users, err := e.namesIn(ctx, id, "/etc/passwd")
	if err != nil {
		return "", err
	}
	groups, err := e.namesIn(ctx, id, "/etc/group")
	if err != nil {
		return "", err
	}
	got, err := e.api().ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return "", e.fault(ctx, "asking for the image's user", err)
	}
	if got.Container.Config != nil {
		if why := missing(got.Container.Config.User, users, groups); why != "" {
			return "", verdictError{fmt.Sprintf("the image's USER is %q, and %s: add it to the image, or correct USER", got.Container.Config.User, why)}
		}
	}
	switch why := missing(t.User, users, groups); {
	case why != "":
		return "", verdictError{fmt.Sprintf("trial.user is %q, and %s: add it to the image, or correct the policy", t.User, why)}
	case t.User != "":
		return t.User, nil
	case slices.Contains(users, messages.HookUser):
		return messages.HookUser, nil
	}
	return "", nil
}

// missing says what an image lacks of a user, "USER" or "USER:GROUP" by name or number, or "".
func missing(user string, users, groups []string) string {
	name, group, _ := strings.Cut(user, ":")
	if !known(name, users) {
		return fmt.Sprintf("its /etc/passwd has no user %q", name)
	}
	if !known(group, groups) {
		return fmt.Sprintf("its /etc/group has no group %q", group)
	}
	return ""
}

// known tells whether a name is none, a number that the kernel knows, or one of names.
func known(name string, names []string) bool {
	if name == "" || slices.Contains(names, name) {
		return true
	}
	n, err := strconv.ParseUint(name, 10, 64)
	return err == nil && n <= math.MaxInt32
}

// maxAccounts bounds what is read of a file of accounts.
const maxAccounts = 4 << 20

// namesIn are the first fields of a file of accounts in a container; none where there is no such file.
func (e *Engine) namesIn(ctx context.Context, id, file string) ([]string, error) {
	var names []string
	err := e.read(ctx, id, file, func(r io.Reader) error {
		lines := bufio.NewScanner(io.LimitReader(r, maxAccounts))
		for lines.Scan() {
			if name, _, ok := strings.Cut(lines.Text(), ":"); ok && !strings.HasPrefix(name, "#") {
				names = append(names, strings.TrimSpace(name))
			}
		}
		return lines.Err()
	})
	if err != nil && !errdefs.IsNotFound(err) {
		return nil, e.fault(ctx, "reading "+file, err)
	}
	return names, nil
}

// firstOf is the first of some files that a container has, or "".
func (e *Engine) firstOf(ctx context.Context, id string, files ...string) (string, error) {
	for _, file := range files {
		_, err := e.api().ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: file})
		if err == nil {
			return file, nil
		}
		if !errdefs.IsNotFound(err) {
			return "", e.fault(ctx, "looking for "+file, err)
		}
	}
	return "", nil
}

// read gives fn the content of a file in a container, through links.
func (e *Engine) read(ctx context.Context, id, file string, fn func(io.Reader) error) error {
	stat, err := e.api().ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: file})
	if err != nil {
		return err
	}
	if stat.Stat.LinkTarget != "" {
		file = stat.Stat.LinkTarget
	}
	got, err := e.api().CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: file})
	if err != nil {
		return err
	}
	defer func() { _ = got.Content.Close() }()
	archive := tar.NewReader(got.Content)
	if _, err := archive.Next(); err != nil {
		return err
	}
	return fn(archive)
}
