package producer

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/standardwebhooks"
)

// TestSeveralSecretsAtOnce: while webhooks change from an older one to a newer, both are right, at every forge.
func TestSeveralSecretsAtOnce(t *testing.T) {
	const newer, third = "a-newer-secret-for-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	file := writeFile(t, testFile)
	content := testSecret + "\r\n\n  " + newer + "\n" + third + "\n" + newer + "\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "hook"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	pipelines, err := LoadPipelines(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Pipelines: pipelines, Queue: &memoryQueue{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range senders() {
		for secret, want := range map[string]int{testSecret: 202, newer: 202, "a-secret-that-nobody-has": 401, testOther: 200} {
			if strings.HasPrefix(s.name, "gitlab") || s.forge != "github" && s.forge != "generic" {
				if secret == testOther { // tools lists neither
					want = 401
				}
			}
			status, a, _ := serve(p, s.hook(secret, s.payload(baseURL, mainRef, testCommit)))
			if status != want || want == 202 && len(a.Builds) != 2 {
				t.Errorf("%s, signed with %q: status %d, %+v; want %d", s.name, secret, status, a, want)
			}
		}
	}
}

// TestARequestThatIsSignedTwiceAsksOnce: senders of Standard Webhooks sign with both keys while they change.
func TestARequestThatIsSignedTwiceAsksOnce(t *testing.T) {
	file := writeFile(t, testFile)
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "hook"), []byte(testSecret+"\n"+testOther), 0o600); err != nil {
		t.Fatal(err)
	}
	pipelines, err := LoadPipelines(file)
	if err != nil {
		t.Fatal(err)
	}
	q := &memoryQueue{}
	p, err := New(Config{Pipelines: pipelines, Queue: q})
	if err != nil {
		t.Fatal(err)
	}
	s := senders()[3]
	for _, escape := range []string{"/", `\/`} { // with it no repository seems to be named
		body := strings.ReplaceAll(s.payload(baseURL, mainRef, testCommit), "/", escape)
		r := s.hook(testSecret, body)
		first := r.Header.Get("webhook-signature")
		s.sign(r.Header, testOther, []byte(body))
		r.Header.Set("webhook-signature", first+" "+r.Header.Get("webhook-signature"))
		if status, a, _ := serve(p, r); status != http.StatusAccepted || len(a.Builds) != 2 {
			t.Errorf("status %d, %+v", status, a)
		}
	}
}

// TestFilesOfSeveralLinesThatAreNoSecrets would make secrets of what everybody can guess.
func TestFilesOfSeveralLinesThatAreNoSecrets(t *testing.T) {
	for name, content := range map[string]string{
		"nothing":           " \n\n",
		"a certificate":     "-----BEGIN-PRIVATE-KEY-----\n" + strings.Repeat("A", 64) + "\n-----END-PRIVATE-KEY-----\n",
		"a comment":         "#the-secret-of-webhooks\n" + testSecret,
		"a sentence":        testSecret + "\nthe secret of all webhooks",
		"a short line":      testSecret + "\nsecret",
		"too many":          strings.Repeat(testSecret+"\n", standardwebhooks.MaxSecrets+1),
		"a line's name":     testSecret + "\nWEBHOOK_SECRET=" + testOther,
		"a byte order mark": "\ufeff" + testSecret + "\n" + testOther,
	} {
		s, err := newHookSecret(messages.NewSecret(content))
		if err == nil {
			t.Errorf("%s makes %d keys", name, len(s.keys))
		} else if strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), testOther) {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
	}
}
