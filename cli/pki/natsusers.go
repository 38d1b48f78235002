package pki

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/standalone"
	"github.com/fenceline/fenceline/terminal"
)

// UsersFile is the part of a NATS server's configuration that init writes.
const UsersFile = "nats-users.conf"

// writeNATSUsers writes the users' file, and a password file for each user.
func writeNATSUsers(out io.Writer, dir, prefix string, nodes []string) error {
	accounts, err := accountsWith(dir, prefix, nodes)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing credentials: %w", err)
	}
	users := 0
	conf, err := store.AccountsConfig(accounts, func(user string) (string, error) {
		users++
		password, err := passwordIn(filepath.Join(dir, user))
		if err != nil {
			return "", err
		}
		hash, err := standalone.HashPassword(password)
		if err != nil {
			return "", fmt.Errorf("%s: %w", filepath.Join(dir, user), err)
		}
		return hash, nil
	})
	if err != nil {
		return err
	}
	conf = "# NATS accounts and users of fenceline. Include it in the server's configuration:\n#   include " + UsersFile + "\n" + conf
	path := filepath.Join(dir, UsersFile)
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return fmt.Errorf("writing credentials: %w", err)
	}
	return terminal.Line(out, "wrote %s and a password file for each of its %d users", path, users)
}

// accountsWith are the accounts of an installation with the given nodes, FLEET.NODE, and those of
// earlier runs.
func accountsWith(dir, prefix string, nodes []string) ([]store.Account, error) {
	space, err := messages.NewSpace(prefix)
	if err != nil {
		return nil, settings.Usage(err)
	}
	for _, key := range nodes {
		if _, _, err := messages.ParseNodeKey(key); err != nil {
			return nil, settings.Usagef("--node: %w", err)
		}
	}
	known, err := knownNodes(dir)
	if err != nil {
		return nil, err
	}
	var users []store.User
	nodes = slices.Concat(nodes, known)
	slices.Sort(nodes)
	for _, key := range slices.Compact(nodes) {
		fleet, node, err := messages.ParseNodeKey(key)
		if err != nil {
			return nil, fmt.Errorf("user %q in %s: %w", key, filepath.Join(dir, UsersFile), err)
		}
		users = append(users, store.User{Name: key, May: store.NodePermissions(space, fleet, node, settings.NodeInbox(fleet, node))})
	}
	return settings.Accounts(space, users), nil
}

// nodeUser is a node's line of the file that writeNATSUsers writes.
var nodeUser = regexp.MustCompile(`(?m)^ *\{user: "([^".]+\.[^"]+)"`)

// knownNodes lists the nodes that earlier runs wrote into the users' file: a server that reads
// it again must not lock them out. One whose password file was removed is meant to go.
func knownNodes(dir string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, UsersFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the users that there are: %w", err)
	}
	var out []string
	for _, found := range nodeUser.FindAllSubmatch(b, -1) {
		key := string(found[1])
		switch _, err := os.Stat(filepath.Join(dir, filepath.Base(key))); {
		case err == nil:
			out = append(out, key)
		case !errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("looking for the password of %s: %w", key, err)
		}
	}
	return out, nil
}

// passwordIn reads the password in a file, or makes one where there is no file.
func passwordIn(path string) (messages.Secret, error) {
	found, err := settings.ReadSecret(path)
	if !errors.Is(err, os.ErrNotExist) {
		return found, err
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	value := base64.RawURLEncoding.EncodeToString(b[:])
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		return messages.Secret{}, fmt.Errorf("writing credentials: %w", err)
	}
	return messages.NewSecret(value), nil
}
