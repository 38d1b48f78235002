package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

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

func newVersionCmd() *cobra.Command {
	var f format
	cmd := &cobra.Command{
		Use: "version", Short: "Show the version of this program",
		Example: "  fenceline version\n  fenceline version -o json",
		Args:    settings.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := map[string]string{"version": Version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			s := &session{out: cmd.OutOrStdout(), format: f}
			return s.print(v, func(p *terminal.Page) { p.Line("fenceline %s", v["version"]) })
		},
	}
	f.flag(cmd.Flags())
	return cmd
}
