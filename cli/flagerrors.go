package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/messages/queue"
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

// nameFlags has an error name flags where a library, which knows none, names fields of its
// configuration.
func nameFlags(err error) error {
	var at *standalone.ListenError
	if errors.As(err, &at) {
		flag := map[standalone.Service]string{
			standalone.ServiceHTTP: "listen", standalone.ServiceHealth: "health-listen",
			standalone.ServiceRegistry: "registry-listen", standalone.ServiceNATS: "nats-listen",
		}[at.Service]
		return fmt.Errorf("%w: stop it, or choose another with --%s", err, flag)
	}
	var engine *docker.FieldError
	var solver *buildkit.FieldError
	if !errors.As(err, &engine) && !errors.As(err, &solver) {
		return err
	}
	return fieldError{err}
}

// fieldError is an error whose text has fields, and is shown with the flags in their place.
type fieldError struct{ error }

func (e fieldError) Unwrap() error { return e.error }

// fieldName finds the fields of configurations that flags set, as words of a text.
var fieldName = regexp.MustCompile(`(^|[ (])(CAFile|CertFile|KeyFile|CredentialsFile|User|Password|InboxPrefix|Replicas|DockerConfig|RegistryCAFile|PlainHTTP)\b`)

func (e fieldError) Error() string {
	flags := strings.NewReplacer(
		"RegistryCAFile", "--registry-ca-file", "CAFile", "--ca-file", "CertFile", "--cert-file", "KeyFile", "--key-file",
		"CredentialsFile", "--credentials-file", "User", "--user", "Password", "--password-file", "InboxPrefix", "--inbox-prefix",
		"Replicas", "--replicas", "DockerConfig", "--docker-config", "PlainHTTP", "--registry-plain-http",
	)
	return fieldName.ReplaceAllStringFunc(e.error.Error(), flags.Replace)
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
