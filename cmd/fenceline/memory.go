package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"golang.org/x/sys/unix"
)

const (
	// startTaken is how long after its start a process gives back what that took, and giveEvery how often it does so later: before
	// Go would collect by itself what little garbage there is, which it does two minutes after it did so last.
	startTaken = 10 * time.Second
	giveEvery  = 100 * time.Second
)

// giveBack has a process that mostly waits give back what it does not need while it does: garbage, and pages of the program's
// file. At its start it runs through packages of all roles, and the kernel maps what lies around each page that is touched.
func giveBack(ctx context.Context) error {
	s, err := openSinglePages() // nil where it can't be had: more is mapped again than is used
	if err == nil {
		defer s.close()
	}
	for wait := startTaken; queue.Pause(ctx, wait); wait = giveEvery {
		debug.FreeOSMemory()
		if err := unmapFile(s); err != nil {
			return nil // it has them mapped, as all other programs have
		}
	}
	return context.Cause(ctx)
}

// unmapFile has the kernel forget which pages of the program's file this process has mapped, of those that nobody can write to.
// A page that is needed is mapped again from the page cache, alone where s is not nil. What is not as in the file any more stays:
// in a program whose addresses are not fixed (-buildmode=pie), the linker at run time writes to pages that nobody can write to afterwards.
func unmapFile(s *singlePages) error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("finding the program's file: %w", err)
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("reading what is mapped: %w", err)
	}
	defer maps.Close()
	var from, to uintptr
	asInFile := false
	lines := bufio.NewScanner(maps)
	for lines.Scan() { // a line for each mapping, followed by what there is to say of it
		line := lines.Text()
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.Contains(name, " "):
			var rights string
			_, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights)
			asInFile = err == nil && !strings.Contains(rights, "w") && strings.HasSuffix(line, " "+program)
		case name == "Anonymous", name == "Swap":
			asInFile = asInFile && strings.TrimSpace(value) == "0 kB"
		case name == "VmFlags" && asInFile: // the last line
			_ = s.cover(from, to) // else more is mapped again than is used
			if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
				return fmt.Errorf("giving back pages of %s: %w", program, errno)
			}
		}
	}
	return lines.Err()
}
