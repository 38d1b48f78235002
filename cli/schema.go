package cli

import (
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/producer"
	"github.com/spf13/cobra"
)

func newSchemaCmd() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of pipeline files, for editors",
		Long: `Prints the JSON Schema (2020-12) of pipeline files. An editor with a YAML language server
completes and checks a file by it that begins with the line

  # yaml-language-server: $schema=fenceline.schema.json

The schema takes what this version of fenceline reads. It refuses what shows in one field
alone: 'fenceline lint' checks the rest.`,
		Example: "  fenceline schema > fenceline.schema.json",
		Args:    settings.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(producer.FileSchema().JSON())
			return err
		},
	}
}
