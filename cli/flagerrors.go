package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/console/oidc"
	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/apply"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/diagnosis"
	"github.com/fenceline/fenceline/producer/registry"
	"github.com/fenceline/fenceline/standalone"
	"github.com/fenceline/fenceline/suggest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError is a mistake with a flag, with the flag that may be meant.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return settings.Usage(err)
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := suggest.Nearest(unknown.GetSpecifiedName(), known); near != "" {
		err = fmt.Errorf("%w: did you mean --%s?", err, near)
	}
	return settings.Usage(err)
}

// fieldFlags are the flags that set the fields which errors of libraries name.
var fieldFlags = map[string]string{
	diagnosis.FieldUser: "user", diagnosis.FieldPassword: "password-file", diagnosis.FieldCredentialsFile: "credentials-file",
	diagnosis.FieldCAFile: "ca-file", diagnosis.FieldCertFile: "cert-file", diagnosis.FieldKeyFile: "key-file",
	queue.FieldInboxPrefix: "inbox-prefix", queue.FieldReplicas: "replicas", distributor.FieldInterval: "interval",
	apply.FieldFile: "apply", apply.FieldFormat: "apply-format", apply.FieldKey: "apply-key", apply.FieldTemplate: "apply-template",
	apply.FieldCommand: "apply-command", apply.FieldTimeout: "apply-timeout", apply.FieldState: "apply-state",
	distributor.FieldPull: "pull", distributor.FieldMirrors: "mirror",
	backends.FieldKind: "fence", "FenceGet": "fence-get", "FenceSet": "fence-set", "Kato": "kato", "KatoUser": "kato-user",
	"RedisURI": "redis-uri", "RedisURIFile": "redis-uri-file", "RedisCAFile": "redis-ca-file", "RedisCertFile": "redis-cert-file", "RedisKeyFile": "redis-key-file",
	oidc.FieldIssuerURL: "oidc-issuer-url", oidc.FieldClientID: "oidc-client-id", oidc.FieldClientSecretFile: "oidc-client-secret-file",
	oidc.FieldConsoleURL: "console-url", oidc.FieldCAFile: "oidc-ca-file", oidc.FieldScopes: "oidc-scopes", oidc.FieldProviderName: "oidc-name",
	oidc.FieldNameClaim: "oidc-username-claim", oidc.FieldGroupsClaim: "oidc-groups-claim",
	oidc.FieldOperatorGroups: "oidc-operator-groups", oidc.FieldViewerGroups: "oidc-viewer-groups",
	"DockerConfig": "docker-config", "RegistryCAFile": "registry-ca-file", "PlainHTTP": "registry-plain-http",
}

// listenFlags are the flags that say where a service listens.
var listenFlags = map[standalone.Service]string{
	standalone.ServiceHTTP: "listen", standalone.ServiceHealth: "health-listen", standalone.ServiceConsole: "console-listen",
	standalone.ServiceRegistry: "registry-listen", standalone.ServiceNATS: "nats-listen",
}

// nameFlags adds to an error of a library, which knows no flags, those of known that mend it.
func nameFlags(known *pflag.FlagSet, err error) error {
	var at *standalone.ListenError
	if errors.As(err, &at) {
		return fmt.Errorf("%w: stop it, or choose another with --%s", err, listenFlags[at.Service])
	}
	return withFlags(err, func(name string) bool { return known.Lookup(name) != nil })
}

// NameFlags is err with the flags that set the fields which it names, for an error of a role that is shown
// elsewhere than where the role runs.
func NameFlags(err error) error {
	return withFlags(err, func(name string) bool { return name != "" })
}

func withFlags(err error, known func(name string) bool) error {
	var flags []string
	for _, field := range fieldsOf(err) {
		if name := fieldFlags[field]; known(name) {
			flags = append(flags, "--"+name)
		}
	}
	if len(flags) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(flags, ", "))
}

// fieldsOf are the fields of a library's configuration that an error is about.
func fieldsOf(err error) []string {
	var connection *queue.FieldError
	var solver *buildkit.FieldError
	var engine *docker.FieldError
	var applying *apply.FieldError
	var place *backends.FieldError
	var asking *registry.FieldError
	var signing *oidc.FieldError
	switch {
	case errors.As(err, &place):
		return place.Fields
	case errors.As(err, &signing):
		return signing.Fields
	case errors.As(err, &connection):
		return connection.Fields
	case errors.As(err, &solver):
		return []string{solver.Field}
	case errors.As(err, &engine):
		return []string{engine.Field}
	case errors.As(err, &applying):
		return []string{applying.Field}
	case errors.As(err, &asking):
		return []string{asking.Field}
	}
	return nil
}

// Roomier says of an error for want of room in a state folder what would be enough: JetStream wants
// to see 4/3 of what streams may take free before it makes them.
func Roomier(err error, folder string) error {
	var room *queue.RoomError
	if !errors.As(err, &room) {
		return err
	}
	return fmt.Errorf("declaring stream %s: %w: the disk of %s has too little free: make room for %s, or take a folder elsewhere with --state",
		room.Stream, queue.ErrFull, folder, messages.Size(room.Needed/3*4))
}
