package producer

import (
	"net/url"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestForms sends what GitHub sends by default and Gitea on demand: the payload in a field of a form.
// GitHub signs the form, Gitea the payload.
func TestForms(t *testing.T) {
	payload := strings.ReplaceAll(forgePayload(baseURL, mainRef, testCommit), `"ada"`, `"Ada & Grün + 100 %"`)
	form := url.Values{"payload": {payload}}.Encode()
	for name, c := range map[string]struct {
		body, kind, signed string // signed is what the signature is of
		status             int
		say                string
	}{
		"the form is signed":              {form, "application/x-www-form-urlencoded", form, 202, ""},
		"the payload is signed":           {form, "application/x-www-form-urlencoded", payload, 202, ""},
		"with a character set":            {form, "Application/X-WWW-Form-URLencoded; charset=utf-8", form, 202, ""},
		"every byte escaped":              {"payload=" + escaped(payload), "application/x-www-form-urlencoded", "payload=" + escaped(payload), 202, ""},
		"another field before":            {"a=b&" + form, "application/x-www-form-urlencoded", "a=b&" + form, 202, ""},
		"JSON that is called a form":      {payload, "application/x-www-form-urlencoded", payload, 202, ""},
		"signed by nobody":                {form, "application/x-www-form-urlencoded", form + "x", 401, "does not match"},
		"without a payload":               {"a=b", "application/x-www-form-urlencoded", "a=b", 400, "without the field payload"},
		"with a broken escape":            {"payload=%7", "application/x-www-form-urlencoded", "payload=%7", 400, "hexadecimal"},
		"with a payload that is no JSON":  {"payload=hello", "application/x-www-form-urlencoded", "payload=hello", 400, "not a JSON payload"},
		"without a payload, nor a secret": {"a=b", "application/x-www-form-urlencoded", "x", 401, "does not match"},
	} {
		for _, s := range senders()[:3] { // those of forges
			t.Run(s.name+"/"+name, func(t *testing.T) {
				q := &memoryQueue{}
				r := s.hook("", c.body)
				r.Header.Set("Content-Type", c.kind)
				s.sign(r.Header, testSecret, []byte(c.signed))
				status, a, _ := serve(newProducer(t, q, zerolog.Nop()), r)
				if status != c.status || !strings.Contains(a.Error, c.say) {
					t.Errorf("status %d, %+v; want %d saying %q", status, a, c.status, c.say)
				}
				if status == 202 && (len(q.stored) != 2 || q.stored[0].RequestedBy != "Ada & Grün + 100 %") {
					t.Errorf("stored %+v", q.stored)
				}
			})
		}
	}
}

func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[s[i]>>4])+string("0123456789abcdef"[s[i]&15])))
	}
	return b.String()
}
