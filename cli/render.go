package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/suggest"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

func newRenderCmd() *cobra.Command {
	var f format
	var from settings.PipelineFiles
	cmd := &cobra.Command{
		Use: "render [PIPELINE]", Short: "Show a pipeline as it is resolved, without a server",
		Long: `Prints a pipeline, or all, as a pipeline file in YAML in which everything stands that counts:
the file's defaults, the default of every field, and the values of ${env:NAME} and
${file:PATH}, by the environment and the files of this machine. Secrets are the names of
theirs. Beside each schedule stands when it comes next. The file is read as a producer reads it; the errors are those of lint.`,
		Example: "  fenceline render libgraphite2\n  fenceline render --pipelines /etc/fenceline/pipelines -o json",
		Args:    settings.Args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := from.Path(cmd.Flags())
			if err != nil {
				return err
			}
			p, err := producer.LoadPipelines(path)
			if err != nil {
				return err
			}
			return (&session{out: cmd.OutOrStdout(), format: f}).render(p, cmp.Or(args...))
		},
	}
	from.Add(cmd.Flags())
	f.flag(cmd.Flags())
	cmd.Flags().Lookup("output").Usage = "output format: table, which is YAML here, or json"
	return cmd
}

// render prints a pipeline, or all where none is named.
func (s *session) render(p *producer.Pipelines, name string) error {
	names := p.Names()
	if name != "" {
		known := false
		for _, n := range names {
			known = known || n == name
		}
		if !known {
			return fmt.Errorf("there is no pipeline %q%s", name, suggest.DidYouMean(name, names))
		}
		names = []string{name}
	}
	file := p.Render(names...)
	if s.format == formatJSON {
		var v any
		if err := file.Decode(&v); err != nil {
			return err
		}
		return s.print(v, nil)
	}
	p.CommentSchedules(file, time.Now())
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(file); err != nil {
		return err
	}
	_, err := s.out.Write(b.Bytes())
	return err
}
