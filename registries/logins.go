package registries

import (
	"context"
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

// Logins are the registries' logins in the config.json of a folder, or none where Folder is empty.
type Logins struct{ Folder string }

// HubHost is the server of Docker Hub, whose logins are kept under hubLogins.
const (
	HubHost   = "registry-1.docker.io"
	hubLogins = "https://index.docker.io/v1/"
)

// path is that of the file.
func (l Logins) path() string { return filepath.Join(l.Folder, config.ConfigFileName) }

// Check reads the file, and refuses one that names a credential helper which is not installed: that would show only when it is
// asked.
func (l Logins) Check() error {
	if l.Folder == "" {
		return nil
	}
	read, err := l.read()
	if err != nil {
		return err
	}
	helpers := slices.Sorted(maps.Values(read.CredentialHelpers))
	if read.CredentialsStore != "" {
		helpers = append(helpers, read.CredentialsStore)
	}
	for _, h := range helpers {
		if _, err := exec.LookPath(helperPrefix + h); errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("%s keeps logins in the credential helper %q (credsStore or credHelpers), whose program %s%s is not installed here: "+
				"install it, or use a file with the logins in auths, as docker login writes it in an empty DOCKER_CONFIG folder", l.path(), h, helperPrefix, h)
		}
	}
	return nil
}

// read reads the file.
func (l Logins) read() (*configfile.ConfigFile, error) {
	f, err := os.Open(l.path())
	if err != nil {
		return nil, fmt.Errorf("reading the registries' logins: %w; they are to be in a folder's config.json", err)
	}
	defer f.Close()
	read := configfile.New(l.path())
	if err := read.LoadFromReader(io.LimitReader(f, maxLogins)); err != nil {
		return nil, fmt.Errorf("reading the registries' logins in %s: %w; write it with docker login", l.path(), err)
	}
	return read, nil
}

// Of reads the login for a registry's host, the zero value where there is none. The file is read anew each time, so that a
// changed login counts at once.
func (l Logins) Of(ctx context.Context, host string) (types.AuthConfig, error) {
	if l.Folder == "" {
		return types.AuthConfig{}, nil
	}
	read, err := l.read()
	if err != nil {
		return types.AuthConfig{}, err
	}
	key := host
	if host == HubHost {
		key = hubLogins
	}
	helper, ok := read.CredentialHelpers[key]
	if !ok {
		helper = read.CredentialsStore
	}
	var login types.AuthConfig
	if helper != "" {
		login, err = ask(ctx, helper, key)
	} else {
		login, err = read.GetAuthConfig(key)
	}
	if err != nil {
		return types.AuthConfig{}, fmt.Errorf("reading the login for %s in %s: %w", host, l.path(), err)
	}
	return login, nil
}
