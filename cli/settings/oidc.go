package settings

import (
	"errors"
	"strings"

	"github.com/fenceline/fenceline/console/oidc"
	"github.com/spf13/pflag"
)

// OIDC says by which OpenID Connect provider people sign in to the console, and as what.
type OIDC struct {
	oidc.Config
}

// Add adds its flags.
func (o *OIDC) Add(fs *pflag.FlagSet) {
	fs.StringVar(&o.IssuerURL, "oidc-issuer-url", "", "the OpenID Connect provider by which people sign in to the console, as it calls itself")
	fs.StringVar(&o.ClientID, "oidc-client-id", "", "by which that provider knows the console")
	FileVar(fs, &o.ClientSecretFile, "oidc-client-secret-file", "", "file with the client's secret for that provider")
	fs.StringVar(&o.ConsoleURL, "console-url", "", "https://HOST at which browsers reach the console")
	FileVar(fs, &o.CAFile, "oidc-ca-file", "", "authorities of that provider's certificate, beside the system's")
	fs.Var(textsVar(&o.OperatorGroups, kindGroup), "oidc-operator-groups", "groups whose people see everything and decide, comma-separated; may be given several times")
	fs.Var(textsVar(&o.ViewerGroups, kindGroup), "oidc-viewer-groups", "groups whose people see everything, comma-separated; may be given several times")
	fs.StringVar(&o.GroupsClaim, "oidc-groups-claim", oidc.DefaultGroupsClaim, "the claim with people's groups")
	fs.StringVar(&o.NameClaim, "oidc-username-claim", oidc.DefaultNameClaim, "the claim that names people in records and logs")
	fs.Var(textsVar(&o.Scopes, kindScope), "oidc-scopes", "scopes that are asked for, comma-separated (default: openid, profile and email, and of groups and offline_access those that the provider says it has)")
	fs.StringVar(&o.ProviderName, "oidc-name", "", "what the page to sign in calls the provider (default: the issuer's host)")
	Explain(fs, "oidc-issuer-url", "To the letter as its page /.well-known/openid-configuration has it. HTTPS, but on this machine. It may be away when the console starts.")
	Explain(fs, "oidc-client-secret-file", "Read whenever the secret is needed. A public client has none.")
	Explain(fs, "console-url", "The provider sends people back to "+oidc.CallbackPath+" there, which is to be registered with it. HTTPS, but on this machine.")
	Explain(fs, "oidc-ca-file", "In PEM; read at the start.")
	Explain(fs, "oidc-operator-groups", "To the letter as the provider has them. A group whose name has a comma goes into a settings file. Who is in no group of these and of oidc-viewer-groups is not signed in.")
	Explain(fs, "oidc-username-claim", "An email counts where the provider says that it has verified it. Name no claim that people may change by themselves: sub never is.")
}

// The kinds of lists of texts, as help shows them.
const (
	kindGroup = "GROUP"
	kindScope = "SCOPE"
)

// textsVar is a flag of a list of texts.
func textsVar(to *[]string, kind string) pflag.Value {
	return &listFlag[string]{to, func(texts []string) ([]string, error) {
		for _, t := range texts {
			if strings.TrimSpace(t) == "" {
				return nil, errors.New("it is empty: give a name, or several with commas between")
			}
		}
		return texts, nil
	}, same, kind}
}

// Wanted tells whether there is to be a provider: whether anything of it is given.
func (o *OIDC) Wanted() bool {
	return o.IssuerURL+o.ClientID+o.ClientSecretFile+o.ConsoleURL+o.CAFile+o.ProviderName != "" || len(o.OperatorGroups)+len(o.ViewerGroups)+len(o.Scopes) > 0
}
