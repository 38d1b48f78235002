//go:build !linux && !darwin

package docker

// freeBytes is not known here.
func freeBytes(string) int64 { return -1 }

func deviceOf(string) uint64 { return 0 }
