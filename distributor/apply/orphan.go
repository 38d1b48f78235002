package apply

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// running is the process group of a command under way, and what tells it from another that has its
// number later.
type running struct {
	Process int    `json:"process"`        // the group's first process, and its number
	Started string `json:"started"`        // when that process began, as the kernel counts it
	Boot    string `json:"boot,omitempty"` // of the machine
}

// runningNow is a process group that was just started.
func runningNow(process int) *running {
	return &running{Process: process, Started: startOf(process), Boot: bootID()}
}

// startOf is when a process began, in the kernel's own count (proc(5), stat, field 22), or "" where it is
// gone.
func startOf(process int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // a name may have blanks
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // "" is as good where there is none
	return strings.TrimSpace(string(b))
}

// goneAfter bounds the wait for a group that was killed.
const goneAfter = 2 * time.Second

// end kills the group if it is still there, and waits until it is gone, so that no command runs beside
// the next. It tells whether there was any.
func (r *running) end() bool {
	if r.Process <= 1 || r.Boot != bootID() {
		return false
	}
	if now := startOf(r.Process); now != "" && now != r.Started {
		return false // its number is another's
	}
	if syscall.Kill(-r.Process, syscall.SIGKILL) != nil {
		return false
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(goneAfter); time.Now().Before(end); <-tick.C {
		if errors.Is(syscall.Kill(-r.Process, 0), syscall.ESRCH) {
			break
		}
	}
	return true
}
