package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/diagnosis"
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

// fieldFlags are the flags that set the fields which errors of a connection name.
var fieldFlags = map[string]string{
	diagnosis.FieldUser: "user", diagnosis.FieldPassword: "password-file", diagnosis.FieldCredentialsFile: "credentials-file",
	diagnosis.FieldCAFile: "ca-file", diagnosis.FieldCertFile: "cert-file", diagnosis.FieldKeyFile: "key-file",
	queue.FieldInboxPrefix: "inbox-prefix", queue.FieldReplicas: "replicas",
}

// nameFlags adds to an error that names fields which of cmd's flags set them.
func nameFlags(cmd *cobra.Command, err error) error {
	var named *queue.FieldError
	if !errors.As(err, &named) {
		return err
	}
	var flags []string
	for _, field := range named.Fields {
		if name := fieldFlags[field]; cmd.Flags().Lookup(name) != nil {
			flags = append(flags, "--"+name)
		}
	}
	if len(flags) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(flags, ", "))
}

// NameFlags adds to an error of a service that can't listen which flag moves it.
func NameFlags(err error) error {
	var at *standalone.ListenError
	if !errors.As(err, &at) {
		return err
	}
	flag := map[standalone.Service]string{
		standalone.ServiceHTTP: "listen", standalone.ServiceRegistry: "registry-listen", standalone.ServiceNATS: "nats-listen",
	}[at.Service]
	return fmt.Errorf("%w: stop it, or choose another with --%s", err, flag)
}

// Roomier says of an error for want of room in a state folder what would be enough: JetStream wants
// to see 4/3 of what streams may take free before it makes them.
func Roomier(err error, folder string) error {
	var room *queue.RoomError
	if !errors.As(err, &room) {
		return err
	}
	return fmt.Errorf("declaring stream %s: %w: the disk of %s has too little free: make room for %s, or take a folder elsewhere with --state",
		room.Stream, queue.ErrFull, folder, size(room.Needed/3*4))
}
