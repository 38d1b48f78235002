package producer

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/rs/zerolog"
)

// deliveryHeaders is where each forge names a delivery.
var deliveryHeaders = map[string]string{
	"github": "X-GitHub-Delivery", "gitlab": "X-Gitlab-Event-UUID", "gitea": "X-Gitea-Delivery", "forgejo": "X-Forgejo-Delivery",
	"gogs": "X-Gogs-Delivery", "bitbucket": "X-Request-UUID", "generic": "webhook-id",
}

// TestABuildSaysWhichDeliveryLedToIt, for every forge, and every kind of ref.
func TestABuildSaysWhichDeliveryLedToIt(t *testing.T) {
	file := strings.Replace(testFile, "webhook: {secret_file: hook}", "tags: ['v*']\n    webhook: {secret_file: hook}", 1)
	for _, s := range senders() {
		if s.name == "forgejo to gitea" {
			continue // it sends Forgejo's header to Gitea's address
		}
		for ref, want := range map[string]messages.ReasonKind{mainRef: messages.ReasonPush, "refs/tags/v1": messages.ReasonTag} {
			q := &memoryQueue{}
			p, err := New(Config{Pipelines: load(t, file), Queue: q, Logger: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			r := s.hook(testSecret, s.payload(baseURL, ref, testCommit))
			if r.Header.Get(deliveryHeaders[s.forge]) == "" {
				r.Header.Set(deliveryHeaders[s.forge], "msg_1")
			}
			link := "msg_1"
			status, a, _ := serve(p, r)
			if status != 202 {
				t.Errorf("%s, %s: status %d, %+v", s.name, ref, status, a)
				continue
			}
			if got := q.stored[0].Reason; got == nil || *got != (messages.Reason{Kind: want, Link: link, Detail: s.forge}) {
				t.Errorf("%s, %s: reason %+v", s.name, ref, got)
			}
			if got := a.Builds[0].Reason; got.Kind != string(want) || got.Link != link {
				t.Errorf("%s, %s: the answer says %+v", s.name, ref, got)
			}
		}
	}
}

// TestADeliverysNameIsCleaned: it is not signed.
func TestADeliverysNameIsCleaned(t *testing.T) {
	for given, want := range map[string]string{
		"72d3162e-cc78-11e3-81ab-4c9367dc0958": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "": "", "a\x1b[31m\n b\u202e": "a[31mb",
		strings.Repeat("é", 100): "", strings.Repeat("x", 5000): strings.Repeat("x", maxDeliveryBytes),
	} {
		d := delivery{id: given}
		if got := d.reason("github", &event{ref: mainRef}).Link; got != want {
			t.Errorf("%q is %q; want %q", given, got, want)
		}
	}
}

// TestACallSaysWhoseTokenLedToABuild, also where it names a tag, or somebody.
func TestACallSaysWhoseTokenLedToABuild(t *testing.T) {
	q := &memoryQueue{}
	status, a, _ := serve(newProducer(t, q, zerolog.Nop()), callRequest(testToken, `{"pipeline":"base","commit":"`+testCommit+`","requested_by":"ada@laptop"}`))
	want := messages.Reason{Kind: messages.ReasonPerson, Detail: "token ci"}
	if status != 202 || *q.stored[0].Reason != want || q.stored[0].RequestedBy != "ada@laptop" || a.Builds[0].Reason != answered(want) {
		t.Errorf("status %d, %+v, %+v", status, a, q.stored)
	}
}
