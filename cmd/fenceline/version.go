package main

import "runtime/debug"

// release is set by the build (-ldflags "-X main.release=v1.2.3").
var release string

// version is the release, or the commit for a build from a checkout.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "commit " + s.Value
		}
	}
	return info.Main.Version
}
