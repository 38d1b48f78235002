package kato

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"

	"github.com/fenceline/fenceline/fence/program"
)

// command is a call of kato, as the user that is wanted. kato wants the environment of a login, which that
// user's own profile makes; without a user it gets this process's, but for its settings.
func (k *Kato) command(ctx context.Context, args []string) (*exec.Cmd, error) {
	if k.c.User == "" {
		cmd := exec.CommandContext(ctx, k.c.Program, args...)
		cmd.Env = program.Environment()
		cmd.Dir = "/"
		return cmd, nil
	}
	u, err := user.Lookup(k.c.User)
	if err != nil {
		return nil, &FieldError{FieldUser, fmt.Errorf("this machine has no user %q: on a node of the cluster it is stackato (%w)", k.c.User, err)}
	}
	as, err := credential(u)
	if err != nil {
		return nil, &FieldError{FieldUser, err}
	}
	shell := "/bin/bash"
	if _, err := os.Stat(shell); err != nil {
		shell = "/bin/sh"
	}
	cmd := exec.CommandContext(ctx, shell, append([]string{"-l", "-c", `exec "$@"`, shell, k.c.Program}, args...)...)
	cmd.Env = []string{"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username, "SHELL=" + shell,
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	return cmd, nil
}

// credential is what makes a child the user's, or nil where this process is that user's already.
func credential(u *user.User) (*syscall.Credential, error) {
	if strconv.Itoa(os.Geteuid()) == u.Uid {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("only root can run kato as %s, and this is run by the user with the number %d: run it as root, or as %[1]s", u.Username, os.Geteuid())
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("the groups of %s can't be read: %w", u.Username, err)
	}
	var numbers []uint32
	for _, id := range append([]string{u.Uid, u.Gid}, ids...) {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of %s or a group of it: %w", id, u.Username, err)
		}
		numbers = append(numbers, uint32(n))
	}
	return &syscall.Credential{Uid: numbers[0], Gid: numbers[1], Groups: numbers[2:]}, nil
}
