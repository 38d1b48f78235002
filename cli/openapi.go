package cli

import (
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/producer"
	"github.com/spf13/cobra"
)

func newOpenAPICmd() *cobra.Command {
	return &cobra.Command{
		Use: "openapi", Short: "Print the OpenAPI document of what a producer serves",
		Long: `Prints the OpenAPI document (3.0.3) of what a producer of this version serves: webhooks, calls and
its state. Clients are made from it, and requests checked by it. A producer serves the same at
/v1/openapi.json.`,
		Example: "  fenceline openapi > openapi.json",
		Args:    settings.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(producer.APIDocument())
			return err
		},
	}
}
