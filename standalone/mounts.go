package standalone

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// UnmountBelow takes away the mounts below a folder: a buildkitd that is killed leaves those
// of the step that ran, and the folder could not be removed. Nothing may use them any more.
func UnmountBelow(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("looking for mounts that were left behind: %w", err)
	}
	points, err := mountsBelow(dir)
	if err != nil {
		return fmt.Errorf("looking for mounts that were left behind: %w", err)
	}
	var errs []error
	for _, p := range points {
		if err := unix.Unmount(p, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // gone meanwhile
			errs = append(errs, fmt.Errorf("unmounting %s, which was left behind: %w", p, err))
		}
	}
	return errors.Join(errs...)
}

// unescape undoes how the kernel writes paths (proc(5), mountinfo).
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`) //nolint:gochecknoglobals // a constant

// mountsBelow lists mount points below dir, inner ones first.
func mountsBelow(dir string) ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		const mountPoint = 4 // field (5) of proc(5)'s mountinfo
		if fields := strings.Fields(lines.Text()); len(fields) > mountPoint {
			if p := unescape.Replace(fields[mountPoint]); strings.HasPrefix(p, dir+"/") {
				out = append(out, p)
			}
		}
	}
	slices.Reverse(out) // later mounts may stand on earlier ones
	return out, lines.Err()
}
