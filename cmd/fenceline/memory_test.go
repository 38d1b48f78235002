package main

import "testing"

func TestReadOnly(t *testing.T) {
	const program = "/usr/local/bin/fenceline"
	for line, want := range map[string]bool{
		"00400000-0191e000 r-xp 00000000 fe:00 10477705                           " + program: true,
		"0191e000-02f39000 r--p 0151e000 fe:00 10477705                           " + program: true,
		"02f39000-02fdf000 rw-p 02b39000 fe:00 10477705                           " + program: false,
		"7f0000000000-7f0000001000 r--p 00000000 fe:00 1                          /lib/other": false,
		"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ":                                    false,
		"": false,
	} {
		if _, _, ok := readOnly(line, program); ok != want {
			t.Errorf("%q: %v", line, ok)
		}
	}
}

func TestUntouched(t *testing.T) {
	for line, want := range map[string]bool{
		"Anonymous:             0 kB": true,
		"Anonymous:            12 kB": false,
		"AnonHugePages:         0 kB": false,
		"Rss:                   0 kB": false,
		"":                            false,
	} {
		if untouched(line) != want {
			t.Errorf("%q: %v", line, !want)
		}
	}
}

func TestTrimLeavesTheProgramRunning(t *testing.T) {
	if err := trim(); err != nil {
		t.Fatal(err)
	}
}
