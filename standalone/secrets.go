package standalone

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// Secret returns the secret of that name from the folder, making a random one of 256 bits at
// first use. A file that others can read is refused: what is in it may be known.
func (s *State) Secret(name string) (messages.Secret, error) {
	path := s.SecretFile(name)
	stat, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
		value := base64.RawURLEncoding.EncodeToString(b[:])
		if err := WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
			return messages.Secret{}, err
		}
		return messages.NewSecret(value), nil
	case err != nil:
		return messages.Secret{}, fmt.Errorf("reading secret %s: %w", name, err)
	case stat.Mode().Perm()&0o077 != 0:
		return messages.Secret{}, fmt.Errorf("reading secret %s: others can read %s: remove it for a new one, or chmod 600 it to keep it", name, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return messages.Secret{}, fmt.Errorf("reading secret %s: %w", name, err)
	}
	value := strings.TrimSpace(string(b))
	if value == "" {
		return messages.Secret{}, fmt.Errorf("reading secret %s: %s is empty: remove it for a new one", name, path)
	}
	return messages.NewSecret(value), nil
}

// SecretFile is where a secret is kept.
func (s *State) SecretFile(name string) string { return s.Path(partSecrets, name) }

// Client says how a command line on this machine reaches what runs here. It names the files
// that hold secrets, and holds none.
type Client struct {
	NATS         string `json:"nats"` // nats://HOST:PORT
	User         string `json:"user"`
	PasswordFile string `json:"password_file"`
	CAFile       string `json:"ca_file,omitempty"` // "" for the system's authorities
	Prefix       string `json:"prefix"`
	Producer     string `json:"producer"` // http://HOST:PORT, https://HOST:PORT or unix:/PATH
	// ProducerCertFile has the certificate that the producer shows, or is "" for plain HTTP.
	ProducerCertFile string `json:"producer_cert_file,omitempty"`
	TokenFile        string `json:"token_file"`
	Registry         string `json:"registry"` // HOST:PORT
	// DockerConfig is the folder of the config.json with the registry's login for pulls.
	DockerConfig string `json:"docker_config,omitempty"`
	Buildkit     string `json:"buildkit"` // address of the buildkitd
}

// WriteClient keeps c for the command line.
func (s *State) WriteClient(c Client) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", s.Path(partClient), err)
	}
	return WriteFile(s.Path(partClient), append(b, '\n'), 0o600)
}

// ReadClient reads what WriteClient kept in the state folder dir. Errors wrap os.ErrNotExist
// where nothing has run there.
func ReadClient(dir string) (Client, error) {
	path := (&State{dir: dir}).Path(partClient)
	b, err := os.ReadFile(path)
	if err != nil {
		return Client{}, fmt.Errorf("reading how to reach fenceline: %w", err)
	}
	var c Client
	if err := json.Unmarshal(b, &c); err != nil {
		return Client{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, nil
}

// WriteDockerConfig keeps a login of the registry at address in the form that Docker's and
// BuildKit's clients read, in a folder of that name, and returns the folder.
func (s *State) WriteDockerConfig(folder, address, user string, password messages.Secret) (string, error) {
	login := base64.StdEncoding.EncodeToString([]byte(user + ":" + password.Reveal()))
	b, err := json.MarshalIndent(map[string]any{
		"auths": map[string]any{address: map[string]string{"auth": login}},
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("writing the registry's login: %w", err)
	}
	return s.Path(folder), WriteFile(s.Path(folder, "config.json"), append(b, '\n'), 0o600)
}
