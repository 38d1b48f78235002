package main

import "runtime/debug"

// version is set by the build (-ldflags "-X main.version=v1.2.3").
var version string

// versionText is the version, or the commit for a build from a checkout.
func versionText() string {
	if version != "" {
		return version
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
