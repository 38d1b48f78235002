package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// perPackage is the memory in KiB that building or testing one of the greater packages takes at most, with the race detector.
const perPackage = 2 << 20

// atOnce is go test's flag -p, unless the arguments have it: two packages for each processor, or as many as the memory
// that is free allows, but no fewer than go test's own, one for each.
func atOnce(args []string) []string {
	if slices.ContainsFunc(args, func(a string) bool { return a == "-p" || strings.HasPrefix(a, "-p=") }) {
		return nil
	}
	meminfo, _ := os.ReadFile("/proc/meminfo")
	cores := runtime.GOMAXPROCS(0)
	return []string{fmt.Sprintf("-p=%d", max(cores, min(2*cores, available(string(meminfo))/perPackage)))}
}

// available is the memory in KiB that can be had without swapping, as /proc/meminfo has it, or 0.
func available(meminfo string) (kib int) {
	for line := range strings.Lines(meminfo) {
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			return kib
		}
	}
	return 0
}
