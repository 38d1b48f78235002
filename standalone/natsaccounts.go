package standalone

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/fenceline/fenceline/messages/store"
)

// addAccounts gives the server the accounts, by the text that a server with a configuration of its own
// is given.
func (c NATSConfig) addAccounts(o *server.Options) error {
	conf, err := store.AccountsConfig(c.Accounts, func(user string) (string, error) {
		hash, err := HashPassword(c.Passwords[user])
		if err != nil {
			return "", fmt.Errorf("user %s: %w", user, err)
		}
		return hash, nil
	})
	if err != nil {
		return err
	}
	var parsed server.Options
	if err := parsed.ProcessConfigString(conf); err != nil {
		return err
	}
	o.Accounts, o.Users = parsed.Accounts, parsed.Users
	return nil
}

// adoptStore gives the account that holds the streams what a server without accounts has stored, in
// the account that everybody is in where there are none.
func (c NATSConfig) adoptStore() error {
	for _, a := range c.Accounts {
		if !a.JetStream {
			continue
		}
		was, is := filepath.Join(c.StoreDir, "jetstream", "$G"), filepath.Join(c.StoreDir, "jetstream", a.Name)
		if _, err := os.Stat(is); err == nil || !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Rename(was, is); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("starting the NATS server: giving account %s what is stored: %w", a.Name, err)
		}
	}
	return nil
}
