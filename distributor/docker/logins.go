package docker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"

	"github.com/fenceline/fenceline/messages"
)

// maxLogins bounds the file with the logins.
const maxLogins = 1 << 20

// logins are the registries' logins in the config.json of a folder, or none where dir is empty.
type logins struct{ dir string }

// file is the path of the config.json.
func (l logins) file() string { return filepath.Join(l.dir, config.ConfigFileName) }

// read reads the file. Credential helpers are programs of a user's desktop; a file that
// relies on them has no logins in it, and pulls would fail without a word about why.
func (l logins) read() (*configfile.ConfigFile, error) {
	if l.dir == "" {
		return configfile.New(""), nil
	}
	f, err := os.Open(l.file())
	if err != nil {
		return nil, fmt.Errorf("reading the registries' logins: %w; they are to be in a folder's config.json", err)
	}
	defer f.Close()
	read := configfile.New(l.file())
	if err := read.LoadFromReader(io.LimitReader(f, maxLogins)); err != nil {
		return nil, fmt.Errorf("reading the registries' logins in %s: %w; write it with docker login", l.file(), err)
	}
	if read.CredentialsStore != "" || len(read.CredentialHelpers) > 0 {
		return nil, fmt.Errorf("%s keeps logins in a credential helper (credsStore or credHelpers), which is not supported: "+
			"use a file with the logins in auths, as docker login writes it in an empty DOCKER_CONFIG folder", l.file())
	}
	return read, nil
}

// login is what an engine is given for one pull.
type login struct {
	header string // X-Registry-Auth, "" for none
	fix    string // what to do when the registry refuses it
}

// Login is the login for a registry's or mirror's HOST[:PORT], for what the agent itself fetches.
func (e *Engine) Login(host string) (authn.Authenticator, error) {
	if e.logins.dir == "" {
		return authn.Anonymous, nil
	}
	read, err := e.logins.read()
	if err != nil {
		return nil, err
	}
	found, err := read.GetAuthConfig(host)
	if err != nil {
		return nil, fmt.Errorf("finding the login for %s in %s: %w", host, e.logins.file(), err)
	}
	if found == (types.AuthConfig{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(authn.AuthConfig{
		Username: found.Username, Password: found.Password, Auth: found.Auth, IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
	}), nil
}

// of finds the login for an image's registry.
func (l logins) of(image messages.Image) (login, error) {
	if l.dir == "" {
		return login{fix: "give the distributor a login that may read it: its docker-config names the folder of a config.json"}, nil
	}
	ref, err := name.NewDigest(string(image))
	if err != nil {
		return login{}, fmt.Errorf("finding the registry of %s: %w", image, err)
	}
	read, err := l.read()
	if err != nil {
		return login{}, err
	}
	host := ref.RegistryStr()
	found, err := read.GetAuthConfig(host)
	if err != nil {
		return login{}, fmt.Errorf("finding the login for %s in %s: %w", host, l.file(), err)
	}
	if found == (types.AuthConfig{}) {
		return login{fix: fmt.Sprintf("add a login for %s to %s", host, l.file())}, nil
	}
	header, err := authconfig.Encode(registry.AuthConfig(found))
	if err != nil {
		return login{}, errors.New("encoding the login for " + host + " failed") // the cause could quote it
	}
	return login{header, fmt.Sprintf("correct the login for %s in %s, or let it read the repository", host, l.file())}, nil
}
