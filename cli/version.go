package cli

import "runtime/debug"

// version is set by the build (-ldflags "-X github.com/fenceline/fenceline/cli.version=v1.2.3").
var version string

// Version is the version, or the commit for a build from a checkout.
func Version() string {
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
