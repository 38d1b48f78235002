package main

import (
	"io/fs"
	"net"
	"path/filepath"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/standalone"
	"github.com/rs/zerolog"
)

// httpEntry is where a producer's webhooks and calls come in.
type httpEntry struct {
	listener    net.Listener
	certificate *producer.Certificate // nil for plain HTTP
	forwarding  producer.Forwarding
}

// loadEntry finds what is wrong with the settings, without listening yet.
func loadEntry(l *settings.Listener, log zerolog.Logger) (*httpEntry, error) {
	e := &httpEntry{}
	var err error
	if e.forwarding, err = l.Check(); err != nil {
		return nil, err
	}
	if l.CertFile != "" {
		if e.certificate, err = producer.LoadCertificate(l.CertFile, l.KeyFile, part(log, "certificate")); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// listen begins to listen.
func (e *httpEntry) listen(l *settings.Listener) (err error) {
	if path, ok := l.UnixPath(); ok {
		e.listener, err = producer.ListenUnix(path, fs.FileMode(l.SocketMode))
	} else if l.Listen == settings.ListenSystemd {
		e.listener, err = producer.ListenSystemd()
	} else {
		e.listener, err = standalone.Listen(standalone.ServiceHTTP, l.Listen)
	}
	return err
}

// url is the address that commands on this machine reach it at.
func (e *httpEntry) url() string {
	at := e.listener.Addr()
	switch {
	case at.Network() == "unix":
		return "unix:" + at.String()
	case e.certificate != nil:
		return "https://" + at.String()
	}
	return "http://" + at.String()
}

// certFile is the file of the certificate, absolute, or "".
func (e *httpEntry) certFile() string {
	if e.certificate == nil {
		return ""
	}
	if absolute, err := filepath.Abs(e.certificate.State().File); err == nil {
		return absolute
	}
	return e.certificate.State().File
}
