package program

import (
	"errors"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// drain is how long outputs are read that a child out of reach holds open.
const drain = 500 * time.Millisecond

// Run runs a command of exec.CommandContext in a session of its own, without a terminal. Once the command has
// ended, or its context has, what is left of its group is killed; the command dies with this process, too.
// Ended, which may be nil, is called before that, while nobody else can have the command's number. The error
// is exec.ErrWaitDelay where all went well but a child that left the group still has the outputs.
func Run(cmd *exec.Cmd, ended func()) error {
	// The signal for a parent's death comes when the thread ends that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = kill, drain
	if err := cmd.Start(); err != nil {
		return err //nolint:wrapcheck // callers tell its kinds apart, and say what was run
	}
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if ended != nil {
		ended()
	}
	_ = kill()        // there may be nobody left
	return cmd.Wait() //nolint:wrapcheck // as above
}
