package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// NamedSecret is a secret and whose it is.
type NamedSecret struct {
	Name   string
	Secret messages.Secret
}

// Tokens reads the tokens of callers: that of --token-file, and a file of --tokens-dir for each other caller. Each has the
// name of its file. Files whose name begins with a dot are none of them, as where a folder is mounted from a Kubernetes secret.
func (p *Producer) Tokens() ([]NamedSecret, error) {
	var files []string
	if p.TokenFile != "" {
		files = append(files, p.TokenFile)
	}
	if p.TokensDir != "" {
		all, err := os.ReadDir(p.TokensDir)
		if err != nil {
			return nil, Usagef("--tokens-dir: %w", err)
		}
		for _, f := range all {
			path := filepath.Join(p.TokensDir, f.Name())
			if strings.HasPrefix(f.Name(), ".") || path == filepath.Clean(p.TokenFile) {
				continue
			}
			files = append(files, path)
		}
		if len(all) == 0 || len(files) == 0 {
			return nil, Usagef("--tokens-dir: %s has no token: put a file with one there for each caller", p.TokensDir)
		}
	}
	out := make([]NamedSecret, len(files))
	for i, file := range files {
		secret, err := ReadSecret(file)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		if file == p.TokenFile && messages.CheckName("token", name) != nil {
			name = "api" // it could be called anything while it was the only one
		}
		if err := messages.CheckName("token", name); err != nil {
			return nil, fmt.Errorf("the name of token file %s is whose it is: %w", file, err)
		}
		out[i] = NamedSecret{name, secret}
	}
	return out, nil
}
