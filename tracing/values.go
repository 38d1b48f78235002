package tracing

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// of lists the two names that a variable of the exporter has: the one for all of OpenTelemetry, and the one for traces, which wins.
func of(variable string) []string {
	return []string{"OTEL_EXPORTER_OTLP_" + variable, "OTEL_EXPORTER_OTLP_TRACES_" + variable}
}

// checkValues finds values that the exporter would pass over, which it writes to stderr as they are: what is wrong with a
// header is said without it, as it mostly is a credential.
func checkValues() error {
	for _, name := range of("HEADERS") {
		if part := badHeader(os.Getenv(name)); part > 0 {
			return fmt.Errorf("%s: its part %d is no header: give NAME=VALUE,NAME=VALUE, with what is special in a VALUE as in a URL (%%20, %%2C)", name, part)
		}
	}
	for _, name := range append(of("TIMEOUT"), "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT") {
		if v := os.Getenv(name); v != "" {
			if _, err := strconv.ParseUint(v, 10, 31); err != nil {
				return fmt.Errorf("%s: %q is no number of milliseconds", name, v)
			}
		}
	}
	for _, name := range of("CERTIFICATE") {
		if path := os.Getenv(name); path != "" {
			content, err := os.ReadFile(path)
			if err == nil && !x509.NewCertPool().AppendCertsFromPEM(content) {
				err = fmt.Errorf("%s has no certificate in PEM", path)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	keys := of("CLIENT_KEY")
	for i, name := range of("CLIENT_CERTIFICATE") {
		cert, key := os.Getenv(name), os.Getenv(keys[i])
		if cert == "" && key == "" {
			continue
		}
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return fmt.Errorf("%s and %s: %w", name, keys[i], err)
		}
	}
	return nil
}

// badHeader is which part of a list of headers, from 1, is none; 0 where all are.
func badHeader(list string) int {
	for i, header := range strings.Split(list, ",") {
		if strings.TrimSpace(header) == "" {
			continue
		}
		name, value, found := strings.Cut(header, "=")
		if _, err := url.PathUnescape(value); !found || err != nil || !token(strings.TrimSpace(name)) {
			return i + 1
		}
	}
	return 0
}

// token tells whether a text may be a header's name: a token of RFC 9110, section 5.6.2.
func token(name string) bool {
	return name != "" && strings.Trim(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
