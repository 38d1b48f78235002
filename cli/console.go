package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/console/oidc"
	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/standalone"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Tokens by which people sign in to the console.

// tokensFlag is the flag of the console's file of tokens.
const tokensFlag = "console-tokens-file"

func newConsoleCmd() *cobra.Command {
	return Family("console", "Say who may sign in to the console", "  fenceline console token ada --role operator\n  fenceline console list\n  fenceline console revoke ada",
		newConsoleTokenCmd(), newConsoleListCmd(), newConsoleRevokeCmd())
}

// ConsoleTokens is the file of the console's tokens of a state folder.
func ConsoleTokens(state string) string { return filepath.Join(state, "console-tokens") }

func addTokensFile(fs *pflag.FlagSet) {
	settings.FileVar(fs, new(string), tokensFlag, "", "file of the console's tokens [$"+settings.Variable(tokensFlag)+"]")
	settings.DefaultsTo(fs, tokensFlag, "console-tokens in the state folder of 'fenceline up'")
}

// tokensFile is the file that is named, or that of the state folder where 'fenceline up' has run.
func tokensFile(cmd *cobra.Command) (string, error) {
	if err := settings.FromEnvironment(cmd.Flags(), tokensFlag); err != nil {
		return "", err
	}
	if file := cmd.Flags().Lookup(tokensFlag).Value.String(); file != "" {
		return file, nil
	}
	if _, err := standalone.ReadClient(settings.StateFolder()); errors.Is(err, os.ErrNotExist) {
		return "", settings.Usagef("there is no state folder of 'fenceline up' here: name the console's file with --%s", tokensFlag)
	} else if err != nil {
		return "", err
	}
	return ConsoleTokens(settings.StateFolder()), nil
}

func newConsoleTokenCmd() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use: "token NAME", Short: "Make a token by which a person signs in to the console",
		Long: `Prints a new token, once, and adds a line for the person to the console's file, which has
only a digest of it. NAME stands in the records of what they decide. A viewer sees
everything; an operator decides, too. The console reads the file again by itself.`,
		Example: "  fenceline console token ada --role operator\n  fenceline console token wall --console-tokens-file /etc/fenceline/console-tokens",
		Args:    settings.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(tokens.CheckName(args[0]), tokens.CheckRole(tokens.Role(role))); err != nil {
				return settings.Usage(err)
			}
			path, err := tokensFile(cmd)
			if err != nil {
				return err
			}
			token, entry, err := tokens.Make(args[0], tokens.Role(role), time.Now())
			if err != nil {
				return err
			}
			if err := tokens.Add(path, entry); err != nil {
				return err
			}
			if err := terminal.Line(cmd.ErrOrStderr(), "fenceline: %s may sign in as %s; the token is shown this once", entry.Name, entry.Role); err != nil {
				return err
			}
			return terminal.Line(cmd.OutOrStdout(), "%s", token.Reveal())
		},
	}
	addTokensFile(cmd.Flags())
	cmd.Flags().StringVar(&role, "role", string(tokens.Viewer), "viewer or operator")
	return cmd
}

func newConsoleRevokeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "revoke NAME", Short: "Take a person's token back, and sign them out",
		Example: "  fenceline console revoke ada",
		Args:    settings.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := tokensFile(cmd)
			if err != nil {
				return err
			}
			if err := tokens.Revoke(path, args[0]); err != nil {
				return err
			}
			return terminal.Line(cmd.OutOrStdout(), "%s: revoked", args[0])
		},
	}
	addTokensFile(cmd.Flags())
	return cmd
}

// tokenRow is who may sign in.
type tokenRow struct {
	Name string      `json:"name"`
	Role tokens.Role `json:"role"`
	Made time.Time   `json:"made"`
}

func newConsoleListCmd() *cobra.Command {
	var f format
	cmd := &cobra.Command{
		Use: "list", Short: "List who may sign in to the console by a token",
		Example: "  fenceline console list\n  fenceline console list -o json",
		Args:    settings.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := tokensFile(cmd)
			if err != nil {
				return err
			}
			all, err := tokens.ReadFile(path)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			rows := []tokenRow{}
			for _, e := range all {
				rows = append(rows, tokenRow{e.Name, e.Role, e.Made})
			}
			return (&session{out: cmd.OutOrStdout(), format: f}).print(rows, func(p *terminal.Page) {
				p.Head("NAME", "ROLE", "MADE")
				for _, r := range rows {
					p.Row(r.Name, r.Role, overview.Ago(r.Made))
				}
			})
		},
	}
	addTokensFile(cmd.Flags())
	f.flag(cmd.Flags())
	return cmd
}

// checkConsoleTokens looks at the file of the console's tokens.
func (d *doctor) checkConsoleTokens(context.Context) checked {
	c := checked{What: "tokens"}
	if d.tokens == "" {
		c.Found = "neither a file of tokens (console-tokens-file) nor an OpenID Connect provider (oidc-issuer-url) is named in the settings"
		if d.oidc.Wanted() {
			c.Found = "no file of tokens is named in the settings (console-tokens-file): while the OpenID Connect provider is away nobody can sign in"
		}
		return c
	}
	all, err := tokens.ReadFile(d.tokens)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w: make a token with 'fenceline console token NAME'", err)
	}
	c.err, c.Found = err, fmt.Sprintf("%s may sign in", overview.Counted(len(all), "person"))
	if err != nil {
		c.Found = ""
	}
	return c
}

// givenOIDC takes the settings of an OpenID Connect provider from variables and a settings file.
func (d *doctor) givenOIDC(found settings.File) error {
	fs := pflag.NewFlagSet("oidc", pflag.ContinueOnError)
	d.oidc.Add(fs)
	if err := settings.FromEnvironment(fs); err != nil {
		return err
	}
	found.Apply(fs)
	return nil
}

// checkOIDC asks the OpenID Connect provider what it says of itself.
func (d *doctor) checkOIDC(ctx context.Context) checked {
	c := checked{What: "OpenID Connect provider"}
	p, err := oidc.New(d.oidc.Config)
	if err != nil {
		return c.problem(NameFlags(err))
	}
	scopes, err := p.Check(ctx)
	if err != nil {
		return c.problem(err)
	}
	c.Found = fmt.Sprintf("%s answers; asked for are %s", d.oidc.IssuerURL, strings.Join(scopes, ", "))
	return c
}
