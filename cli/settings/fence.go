package settings

import (
	"errors"
	"strings"

	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
	"github.com/spf13/pflag"
)

// AddFence adds the flags that say where fence configs live.
func AddFence(fs *pflag.FlagSet, f *backends.Config) {
	f.Kind = messages.FenceNATS
	fs.Var(checkedFlag{&f.Kind, "KIND", func(s string) error {
		err := messages.CheckFence(s)
		if near := suggest.DidYouMean(s, messages.FenceKinds()); err != nil && near != "" {
			err = errors.New(err.Error() + near)
		}
		return err
	}}, "fence", "where fence configs live: "+strings.Join(messages.FenceKinds(), ", "))
	pathVar(fs, kindProgram, &f.Kato, "kato", "kato", "the kato command of this Stackato node")
	fs.StringVar(&f.KatoUser, "kato-user", "", "user who runs kato (default: the controller's own)")
	fs.StringVar(&f.RedisURI, "redis-uri", "", "Redis behind a Stackato cluster's kato, redis://HOST:PORT/DATABASE, or rediss:// for TLS")
	FileVar(fs, &f.RedisURIFile, "redis-uri-file", "", "file with that address (default: "+backends.RedisURIFile+")")
	FileVar(fs, &f.RedisCAFile, "redis-ca-file", "", "certificate authority of that Redis, in place of the system's")
	FileVar(fs, &f.RedisCertFile, "redis-cert-file", "", "certificate that Redis asks of its clients")
	FileVar(fs, &f.RedisKeyFile, "redis-key-file", "", "private key of that certificate")
	fs.StringVar(&f.FenceGet, "fence-get", "", "command that prints a fence config")
	fs.StringVar(&f.FenceSet, "fence-set", "", "command that sets a fence config to VALUE if it is still EXPECTED, which it gets")
	Explain(fs, "fence", "It is one for the installation: give all controllers the same. A fleet can have another by `fence:` in the pipeline file.")
	Explain(fs, "redis-uri", "Without a password: one is kept in a file, for redis-uri-file.")
	Explain(fs, "redis-uri-file", "As Stackato keeps it; read at each call.")
	Explain(fs, "fence-get", "A program and its arguments, with quotes; no shell reads it. {fleet} is the fleet's name. docs/fence-backends.md has what it must do.")
	Explain(fs, "fence-set", "As above.")
}
