package cli

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/standalone"
)

func TestErrorsNameFlags(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"a field": {&docker.FieldError{Field: "DockerConfig", Err: errors.New("/none: no such file")}, "--docker-config: /none: no such file"},
		"a field, wrapped, and a path that has one's name": {
			fmt.Errorf("starting: %w", &buildkit.FieldError{Field: "RegistryCAFile", Err: errors.New("/User/CAFile is a folder, not CAFile (CertFile)")}),
			"starting: --registry-ca-file: /User/CAFile is a folder, not --ca-file (--cert-file)",
		},
		"no error of a field": {errors.New("User: unknown"), "User: unknown"},
		"a port in use": {
			&standalone.ListenError{Service: standalone.ServiceHealth, Address: "[::1]:1", Err: syscall.EADDRINUSE},
			"health can't listen on [::1]:1: another process uses the port: stop it, or choose another with --health-listen",
		},
	} {
		got := nameFlags(test.err)
		if got.Error() != test.want || !errors.Is(got, test.err) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
