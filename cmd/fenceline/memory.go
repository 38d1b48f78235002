package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// settleTime is when a role has started: what it needs from then on comes back by itself.
const settleTime = 5 * time.Second

// trimLater gives back, once, the memory that only the start needed: the pages of this
// program's own file that the initialisation of all roles' packages has touched. They are
// clean, so the kernel fetches those that are used again from its cache. On a node that
// runs apps, that is most of an agent's memory. It returns when it is done or ctx ends.
func trimLater(ctx context.Context) error {
	t := time.NewTimer(settleTime)
	defer t.Stop()
	select {
	case <-t.C:
		return trim()
	case <-ctx.Done():
		return nil
	}
}

func trim() error {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("finding this program's file: %w", err)
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("listing this process's memory: %w", err)
	}
	defer maps.Close()
	var from, to uintptr
	var program bool
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		line := lines.Text()
		if isMapping(line) {
			from, to, program = readOnly(line, path)
		}
		if !program || !untouched(line) {
			continue
		}
		if _, _, e := syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED); e != 0 {
			return fmt.Errorf("giving back memory: %w", e)
		}
	}
	return lines.Err()
}

// isMapping tells the line that begins a mapping in smaps from those of its fields.
func isMapping(line string) bool {
	first, _, _ := strings.Cut(line, " ")
	return !strings.HasSuffix(first, ":")
}

// untouched tells whether a line of smaps says that no page of its mapping is this process's
// own. The loader of a position-independent program writes to pages that it makes read-only
// afterwards: those would come back without what it wrote.
func untouched(line string) bool {
	f := strings.Fields(line)
	return len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0"
}

// readOnly takes a line of proc_pid_maps(5) apart, and tells whether it is a part of the
// program's file that nothing can have written to.
func readOnly(line, program string) (from, to uintptr, ok bool) {
	var mode, offset, device, inode string
	if _, err := fmt.Sscanf(line, "%x-%x %s %s %s %s", &from, &to, &mode, &offset, &device, &inode); err != nil {
		return 0, 0, false
	}
	return from, to, !strings.Contains(mode, "w") && strings.HasSuffix(line, " "+program)
}
