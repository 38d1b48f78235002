package buildkit

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
)

// maxLogins bounds the file with the logins, in bytes.
const maxLogins = 1 << 20

// logins are the registries' logins in the config.json of a folder, or none where dir is empty.
type logins struct{ dir string }

// read reads the file anew, so that a changed login counts at once. It refuses one that names
// a credential helper which is not installed: that would show only when an image is pushed.
func (l logins) read() (*configfile.ConfigFile, error) {
	if l.dir == "" {
		return configfile.New(""), nil
	}
	name := filepath.Join(l.dir, config.ConfigFileName)
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the registries' logins: %w; they are to be in a folder's config.json", err)
	}
	defer f.Close()
	read := configfile.New(name)
	if err := read.LoadFromReader(io.LimitReader(f, maxLogins)); err != nil {
		return nil, fmt.Errorf("reading the registries' logins in %s: %w; write it with docker login", name, err)
	}
	helpers := slices.Sorted(maps.Values(read.CredentialHelpers))
	if read.CredentialsStore != "" {
		helpers = append(helpers, read.CredentialsStore)
	}
	for _, h := range helpers {
		if _, err := exec.LookPath("docker-credential-" + h); errors.Is(err, exec.ErrNotFound) {
			return nil, fmt.Errorf("%s keeps logins in the credential helper %q (credsStore or credHelpers), whose program docker-credential-%s is not installed here: "+
				"install it, or use a file with the logins in auths, as docker login writes it in an empty DOCKER_CONFIG folder", name, h, h)
		}
	}
	return read, nil
}

// hubServer is the server of Docker Hub, whose logins are kept under hubLogins.
const (
	hubServer = "registry-1.docker.io"
	hubLogins = "https://index.docker.io/v1/"
)

// of reads the login for a registry's host, the zero value where there is none.
func (l logins) of(host string) (types.AuthConfig, error) {
	read, err := l.read()
	if err != nil {
		return types.AuthConfig{}, err
	}
	if host == hubServer {
		host = hubLogins
	}
	login, err := read.GetAuthConfig(host)
	if err != nil {
		return types.AuthConfig{}, fmt.Errorf("reading the login for %s: %w", host, err)
	}
	return login, nil
}
