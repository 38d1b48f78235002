package diagnosis

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// checkClientCertificate does with the client's certificate and its key what connecting with
// them does, and says whose fault it is where that can't end well.
func (w Way) checkClientCertificate(now time.Time) error {
	switch {
	case w.CertFile == "" && w.KeyFile == "":
		return nil
	case w.KeyFile == "":
		return &FieldError{[]string{FieldCertFile, FieldKeyFile}, fmt.Errorf("the certificate file %s comes without its key: name the key's file, too", w.CertFile)}
	case w.CertFile == "":
		return &FieldError{[]string{FieldKeyFile, FieldCertFile}, fmt.Errorf("the key file %s comes without its certificate: name the certificate's file, too", w.KeyFile)}
	}
	inCert := func(err error) error {
		return &FieldError{[]string{FieldCertFile}, fmt.Errorf("the certificate file %s: %w", w.CertFile, err)}
	}
	inKey := func(err error) error {
		return &FieldError{[]string{FieldKeyFile}, fmt.Errorf("the key file %s: %w", w.KeyFile, err)}
	}
	certPEM, err := readFile(w.CertFile)
	if err != nil {
		return inCert(err)
	}
	keyPEM, err := readFile(w.KeyFile)
	if err != nil {
		return inKey(err)
	}
	leaf, err := leafOf(certPEM)
	if err != nil {
		return inCert(err)
	}
	if err := checkKey(keyPEM); err != nil {
		return inKey(err)
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		return inKey(fmt.Errorf("it is not the key of the certificate in %s: give the two that were made together", w.CertFile))
	}
	if err := outOfTime(leaf, now); err != nil {
		return inCert(fmt.Errorf("%w: renew it", err))
	}
	return nil
}

// leafOf is the first certificate of a PEM file, which is the client's own; those of the
// authorities between follow it.
func leafOf(content []byte) (*x509.Certificate, error) {
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("it has no certificate: give the client's, in PEM")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("its certificate can't be read: %w: make it anew", err)
		}
		return leaf, nil
	}
}

// checkKey refuses a file without a private key that can be used as it is.
func checkKey(content []byte) error {
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return errors.New("it has no private key: give the certificate's, in PEM")
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return errors.New("its key has a passphrase, which nobody is there to type: write it without one, with 'openssl pkey', readable by its user alone")
		case bytes.HasSuffix([]byte(block.Type), []byte("PRIVATE KEY")):
			return nil
		}
	}
}
