package hooks

import (
	"bytes"
	"regexp"
)

// credentialForms recognise what is probably a credential. The value is never shown.
var credentialForms = []struct {
	form *regexp.Regexp
	what string
}{
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`), "a private key"},
	{regexp.MustCompile(`\b(AKIA|ASIA)[0-9A-Z]{16}\b`), "an AWS access key"},
	{regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abprs]-[A-Za-z0-9-]{10,})`), "an access token"},
	{regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/@:"'$]+:[^\s/@"'$]+@`), "a URL with a password in it"},
	// A variable, option or parameter default whose name says so, with a literal of some length:
	// NEW_RELIC_LICENSE_KEY=0123456789, --password "…", ${TOKEN:-…}, license_key=….
	{regexp.MustCompile(`(?i)[a-z0-9_-]*(passw(or)?d|passphrase|secret|token|api_?key|access_?key|private_?key|licen[cs]e(_?key)?|credentials?)[a-z0-9_]*(=|:=|:-|-)["']?[a-z0-9+/_.@%!-]{8,}`), "a credential"},
}

// pathOrName matches a value that is a path or a switch rather than a credential.
var pathOrName = regexp.MustCompile(`(?i)(=|:=|:-|-)["']?(/|\./|true|false|none|null|disabled|enabled)`)

// literals warns of what looks like a credential in the text.
func (h *hook) literals(b []byte) {
	for i, line := range bytes.Split(b, []byte("\n")) {
		if len(line) > 64<<10 {
			continue
		}
		for _, c := range credentialForms {
			m := c.form.Find(line)
			if m == nil || c.what == "a credential" && (pathOrName.Match(m) || !bytes.ContainsAny(m, "=:")) {
				continue
			}
			h.warn(i+1, "has what looks like "+c.what+" in it, which everyone who has the image can read", "take it from the app's environment or a service when the hook runs")
			break
		}
	}
}
