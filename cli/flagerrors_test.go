package cli

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/diagnosis"
	"github.com/fenceline/fenceline/standalone"
	"github.com/spf13/pflag"
)

func TestErrorsNameFlags(t *testing.T) {
	hold, role := newHoldCmd().Flags(), settings.Flags(settings.RoleBuilder)
	for name, test := range map[string]struct {
		known *pflag.FlagSet
		err   error
		want  string
	}{
		"of a connection, as far as the command has flags": {
			hold, &queue.FieldError{Fields: []string{diagnosis.FieldUser, diagnosis.FieldPassword, queue.FieldReplicas}, Err: errors.New("refused")},
			"starting: refused (--user, --password-file)",
		},
		"of a Docker engine": {
			role, &docker.FieldError{Field: "DockerConfig", Err: errors.New("no such file")}, "starting: no such file (--docker-config)",
		},
		"of a buildkitd": {
			role, &buildkit.FieldError{Field: "RegistryCAFile", Err: errors.New("no such file")}, "starting: no such file (--registry-ca-file)",
		},
		"of no field": {hold, errors.New("other"), "starting: other"},
		"of a port in use": {
			role, &standalone.ListenError{Service: standalone.ServiceHealth, Address: "[::1]:1", Err: syscall.EADDRINUSE},
			"starting: health can't listen on [::1]:1: another process uses the port: stop it, or choose another with --health-listen",
		},
	} {
		got := nameFlags(test.known, fmt.Errorf("starting: %w", test.err))
		if got.Error() != test.want || !errors.Is(got, test.err) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestEveryFieldHasAFlag: an error that names a field without one would leave its reader alone.
func TestEveryFieldHasAFlag(t *testing.T) {
	for _, field := range []string{
		diagnosis.FieldUser, diagnosis.FieldPassword, diagnosis.FieldCredentialsFile, diagnosis.FieldCAFile, diagnosis.FieldCertFile,
		diagnosis.FieldKeyFile, queue.FieldInboxPrefix, queue.FieldReplicas, "DockerConfig", "RegistryCAFile", "PlainHTTP",
	} {
		if fieldFlags[field] == "" {
			t.Errorf("%s has none", field)
		}
	}
}
