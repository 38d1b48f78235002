//go:build linux || darwin

package docker

import "syscall"

// freeBytes is the space that is free to users on the file system of path, or -1 where path
// is not to be seen from here, such as from inside a container.
func freeBytes(path string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return -1
	}
	return int64(s.Bavail) * int64(s.Bsize) //nolint:unconvert // its type differs between platforms
}

// deviceOf tells the file systems of paths apart.
func deviceOf(path string) uint64 {
	var s syscall.Stat_t
	if err := syscall.Stat(path, &s); err != nil {
		return 0
	}
	return uint64(s.Dev) //nolint:unconvert // its type differs between platforms
}
