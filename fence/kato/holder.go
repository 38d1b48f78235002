package kato

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// holder is a process that has the lock of this host's writers.
type holder struct {
	pid     int
	program string // as /proc has it; "" where that tells nobody
	state   byte   // of its process, as proc(5) has it
	since   time.Time
}

// stopped tells whether the process was stopped, as by SIGSTOP, a terminal or a debugger: it writes nothing
// until it is continued.
func (h *holder) stopped() bool { return h.state == 'T' || h.state == 't' }

// String says who it is and what to do.
func (h *holder) String() string {
	who := fmt.Sprintf("process %d", h.pid)
	if h.program != "" {
		who += " (" + h.program + ")"
	}
	if !h.since.IsZero() {
		who += ", since " + h.since.Format(time.RFC3339)
	}
	if h.stopped() {
		return fmt.Sprintf("%s, which is stopped: continue it with kill -CONT %d, or end it with kill -KILL %d, and the lock goes with it", who, h.pid, h.pid)
	}
	return fmt.Sprintf("%s: if it hangs, end it with kill %d, and the lock goes with it", who, h.pid)
}

// holderOf is who has the lock of a file, as the kernel lists it; nil where it doesn't say, as of a process in
// another container.
func holderOf(f *os.File) *holder {
	var at unix.Stat_t
	if unix.Fstat(int(f.Fd()), &at) != nil {
		return nil
	}
	list, err := os.ReadFile("/proc/locks")
	if err != nil {
		return nil
	}
	pid := lockedBy(list, fmt.Sprintf("%02x:%02x:%d", unix.Major(at.Dev), unix.Minor(at.Dev), at.Ino))
	if pid == 0 {
		return nil
	}
	h := &holder{pid: pid}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if comm, err := os.ReadFile(filepath.Join(dir, "comm")); err == nil {
		h.program = strings.TrimSpace(strings.ToValidUTF8(string(comm), "�"))
	}
	if stat, err := os.ReadFile(filepath.Join(dir, "stat")); err == nil {
		if _, after, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" ")); ok && len(after) > 0 {
			h.state = after[0]
		}
	}
	// Who takes the lock sets the file's time, where it is its own.
	var process unix.Stat_t
	if unix.Stat(dir, &process) == nil && (process.Uid == at.Uid || process.Uid == 0) {
		h.since = time.Unix(at.Mtim.Unix())
	}
	return h
}

// lockedBy finds who has a lock of flock(2) in what /proc/locks lists, 0 where nobody is named:
//
//	1: FLOCK  ADVISORY  WRITE 16220 fe:00:5317408 0 EOF
//
// A line with an arrow is of one who waits.
func lockedBy(list []byte, file string) (pid int) {
	for line := range strings.Lines(string(list)) {
		w := strings.Fields(line)
		if len(w) >= 6 && w[1] == "FLOCK" && w[5] == file {
			if pid, _ = strconv.Atoi(w[4]); pid > 0 {
				return pid
			}
		}
	}
	return 0
}
