package pki

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/standalone"
)

// registryUsers are those of a registry: a builder pushes, nodes pull.
var registryUsers = []string{settings.UserBuilder, settings.UserNode}

// writeRegistryLogins writes, into dir, what a registry and who uses it need: htpasswd, with
// bcrypt hashes as the OCI registry wants them, and for each user a folder with the
// config.json that --docker-config names. Passwords that exist are kept.
func writeRegistryLogins(dir, host string) error {
	if host == "" || strings.ContainsAny(host, "/ ") {
		return settings.Usagef("--registry: %q is not HOST:PORT: name the registry as images do", host)
	}
	var lines strings.Builder
	for _, user := range registryUsers {
		folder := filepath.Join(dir, user)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("writing the registry's logins: %w", err)
		}
		password, err := passwordIn(filepath.Join(folder, "password"))
		if err != nil {
			return err
		}
		hash, err := standalone.HashPassword(password)
		if err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		fmt.Fprintf(&lines, "%s:%s\n", user, hash)
		config, err := json.MarshalIndent(map[string]any{"auths": map[string]any{
			host: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password.Reveal()))},
		}}, "", "  ")
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, "config.json"), append(config, '\n'), 0o600)
		}
		if err != nil {
			return fmt.Errorf("writing the registry's logins: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "htpasswd"), []byte(lines.String()), 0o600); err != nil {
		return fmt.Errorf("writing the registry's logins: %w", err)
	}
	return nil
}
