package cli

import (
	"slices"
	"strings"

	"github.com/fenceline/fenceline/cli/install"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/spf13/cobra"
)

// NewRoot makes the whole command line: the operator's commands, and those given, which run roles.
func NewRoot(run ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{
		Use:   "fenceline",
		Short: "Keeps the base image of a container fleet current",
		Long: `Fenceline turns a git push into the image that a fleet runs: it builds the image,
checks its admin hooks, has every node hold it, tries it on canaries, and only then
flips the fleet's fence config to it, once.

Operator commands find their server by flags, by FENCELINE_* variables, or by the
state folder of 'fenceline up' (./.fenceline, or $FENCELINE_STATE).`,
		Example: `  fenceline up --config fenceline.yaml
  fenceline status
  fenceline rollback`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:       Version(),
	}
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("fenceline {{.Version}}\n")
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Running it:"},
		&cobra.Group{ID: groupLook, Title: "Seeing what happens:"},
		&cobra.Group{ID: groupAct, Title: "Deciding:"},
		&cobra.Group{ID: groupTool, Title: "Tools:"},
	)
	root.AddCommand(inGroup(groupRun, append(run, newInitCmd(), install.NewCommand(), newDoctorCmd())...)...)
	root.AddCommand(inGroup(groupLook, newStatusCmd(), newBuildsCmd(), newNodesCmd(), newRolloutsCmd(),
		newHistoryCmd(), newTraceCmd(), newDiffCmd(), newAuditCmd(), newGraphCmd(), newLogsCmd(), newWatchCmd(), newPlanCmd())...)
	root.AddCommand(inGroup(groupAct, newSubmitCmd(), newCancelCmd(), newRetryCmd(), newRollbackCmd(), newHoldCmd(),
		newReleaseCmd(), newPromoteCmd(), newApproveCmd(), newAbortCmd(), newConfigCmd(), newFleetsCmd())...)
	root.AddCommand(inGroup(groupTool, newDeadLettersCmd(), newSinksCmd(), newConsoleCmd(), newLintCmd(), newSchemaCmd(), newOpenAPICmd(), newRenderCmd(), newExplainHookCmd(), newHookCmd(), newNotifyCmd(), newVersionCmd())...)
	return root
}

// addCompletion adds cobra's commands for completion and help, with what all others have.
// They write to the output that root has now.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.GroupID = groupTool
			c.Example = "  source <(fenceline completion bash)"
			c.Args, c.RunE = noSuchCommand, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			for _, shell := range c.Commands() {
				shell.Example = "  fenceline completion " + shell.Name()
				shell.Args = settings.Args(0, 0)
			}
		case "help":
			c.GroupID = groupTool
			c.Example = "  fenceline help up"
			c.Args = func(_ *cobra.Command, words []string) error {
				found, rest, err := root.Find(words)
				if err != nil {
					return settings.Usage(err)
				}
				return noSuchCommand(found, rest)
			}
		}
	}
}

const (
	groupRun  = "run"
	groupLook = "look"
	groupAct  = "act"
	groupTool = "tool"
)

func inGroup(group string, cmds ...*cobra.Command) []*cobra.Command {
	for _, c := range cmds {
		c.GroupID = group
	}
	return cmds
}

// noSuchCommand refuses what is not a subcommand of cmd, and suggests what may be meant.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		return settings.Usagef("unknown command %q for %q: did you mean %s?", args[0], cmd.CommandPath(), strings.Join(s, " or "))
	}
	return settings.Usagef("unknown command %q for %q", args[0], cmd.CommandPath())
}

// Family is a command that only has subcommands.
func Family(use, short, example string, cmds ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Example: example, Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(slices.Clone(cmds)...)
	return c
}
