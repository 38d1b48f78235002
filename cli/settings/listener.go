package settings

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/producer"
	"github.com/spf13/pflag"
)

// Listener says where a producer's webhooks and calls come in, or a console's pages are served.
type Listener struct {
	Listen            string // HOST:PORT, unix:/PATH or ListenSystemd
	SocketMode        SocketMode
	CertFile, KeyFile string
	TrustedProxies    []string
	ForwardedHeader   string
}

// ListenSystemd is the address that stands for a socket which systemd hands over.
const ListenSystemd = "systemd"

// Add adds its flags. What is what is served at the address that is taken where none is given.
func (l *Listener) Add(fs *pflag.FlagSet, what, address string) {
	fs.StringVar(&l.Listen, "listen", address, "HOST:PORT for "+what+"; port 0 takes a free one; or unix:/PATH, or systemd")
	Explain(fs, "listen", "unix:/PATH is a Unix socket for a proxy on this machine; one that a process which is gone left there is replaced. systemd takes the one socket of a socket unit.")
	l.SocketMode = SocketMode(producer.DefaultSocketMode)
	fs.Var(&l.SocketMode, "socket-mode", "mode of the Unix socket, in octal digits")
	FileVar(fs, &l.CertFile, "tls-cert-file", "", "certificate for HTTPS, with those that it is signed by; plain HTTP without it")
	FileVar(fs, &l.KeyFile, "tls-key-file", "", "private key of that certificate")
	Explain(fs, "tls-cert-file", "In PEM; read again when it or the key has changed, and at SIGHUP. A pair that can't be used leaves the one before in force, and 'fenceline status' says so.")
	Explain(fs, "tls-key-file", "In PEM, without a passphrase.")
	fs.StringSliceVar(&l.TrustedProxies, "trusted-proxies", nil, "network or address of proxies that are believed whom they pass a request on for; may be given several times")
	Explain(fs, "trusted-proxies", "The address that they tell is what the log has and limits count. Over a Unix socket the other end is always believed.")
	fs.StringVar(&l.ForwardedHeader, "forwarded-header", producer.ForwardedFor, "the header in which they tell it: X-Forwarded-For or Forwarded")
	Explain(fs, "forwarded-header", "It is read from the right, up to the first address that is no trusted proxy's. The other header doesn't count: a proxy lets through what strangers write into one that it doesn't know.")
}

// UnixPath is the path of the Unix socket, where it is to be one.
func (l *Listener) UnixPath() (string, bool) { return strings.CutPrefix(l.Listen, "unix:") }

// Check finds what of it can't go together, and reads whom it trusts.
func (l *Listener) Check() (producer.Forwarding, error) {
	f := producer.Forwarding{Header: l.ForwardedHeader}
	if (l.CertFile == "") != (l.KeyFile == "") {
		return f, Usagef("--tls-cert-file and --tls-key-file go together: give both, or neither")
	}
	if l.ForwardedHeader != producer.ForwardedFor && l.ForwardedHeader != producer.ForwardedRFC {
		return f, Usagef("--forwarded-header %q is neither %s nor %s", l.ForwardedHeader, producer.ForwardedFor, producer.ForwardedRFC)
	}
	var err error
	if f.Trusted, err = producer.ParseTrusted(l.TrustedProxies); err != nil {
		return f, Usagef("--trusted-proxies: %w", err)
	}
	return f, nil
}

// SocketMode is the mode of a socket, a flag of octal digits.
type SocketMode fs.FileMode

var _ pflag.Value = (*SocketMode)(nil)

// String is the mode in octal digits.
func (m *SocketMode) String() string { return fmt.Sprintf("%04o", uint32(*m)) }

// Set reads it.
func (m *SocketMode) Set(text string) error {
	v, err := strconv.ParseUint(text, 8, 32)
	if err != nil || v > 0o777 {
		return fmt.Errorf("%q is no mode: write one to four octal digits, such as 0660", text)
	}
	*m = SocketMode(v)
	return nil
}

// Type is what help calls it.
func (*SocketMode) Type() string { return kindMode }

// kindMode is the kind of flag that takes a mode.
const kindMode = "MODE"
