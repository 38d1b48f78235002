package producer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/standardwebhooks"
)

// generic reads the webhooks of everything else, such as a post-receive hook, signed as the
// Standard Webhooks specification 1.0.0 says. What can't sign gives the secret as a password or bearer
// token. Its body is
// {"repository": URL, "ref": "refs/heads/main", "before": COMMIT, "after": COMMIT, "pusher": NAME}
// or what Azure DevOps sends.
type generic struct{}

var _ forge = generic{}

// clockTolerance is how far a sender's clock may be off, as the specification's own
// libraries have it. It also ends how long a request can be sent again by others.
const clockTolerance = 5 * time.Minute

// maxSignatures bounds how many signatures of one request are looked at.
const maxSignatures = 8

func (generic) name() string { return "generic" }

func (generic) signedBy() []string { return []string{"webhook-signature", bearerScheme, basicScheme} }

func (generic) proof(h http.Header, now time.Time) (proof, error) {
	switch {
	case h.Get("webhook-signature") != "":
	case h.Get("Authorization") != "": // which may have a webhook-id to name its delivery
		return passwordProof(h)
	case h.Get("webhook-id") == "":
		return nil, errNoProof
	}
	return standardProof(h, now)
}

// errNoProof is for whoever sets a sender up, of either kind.
var errNoProof = errors.New("header webhook-signature is missing, and so is Authorization: sign it as Standard Webhooks says, which fenceline notify does, or have a sender that can't sign give the pipeline's secret as the password of basic authentication (any user) or as Authorization: Bearer SECRET")

// passwordProof reads the secret from where senders of webhooks can be given a password or a token.
func passwordProof(h http.Header) (proof, error) {
	v, err := one(h, "Authorization")
	if err != nil {
		return nil, err
	}
	scheme, given, _ := strings.Cut(v, " ")
	if strings.EqualFold(scheme, "Bearer") {
		return wordProof(strings.TrimSpace(given)), nil
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(given))
	_, password, ok := strings.Cut(string(pair), ":")
	if !strings.EqualFold(scheme, "Basic") || err != nil || !ok {
		return nil, errors.New("header Authorization is neither Bearer SECRET nor that of a user (any) and the secret as the password: give the pipeline's secret so, or sign as Standard Webhooks says")
	}
	return wordProof(password), nil
}

// standardProof reads a signature of the Standard Webhooks specification.
func standardProof(h http.Header, now time.Time) (proof, error) {
	var values [3]string
	for i, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		v, err := one(h, name)
		if err != nil {
			return nil, fmt.Errorf("%w: sign it as Standard Webhooks says, which fenceline notify does", err)
		}
		values[i] = v
	}
	id, stamp, signatures := values[0], values[1], values[2]
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return nil, errors.New("header webhook-timestamp is not a number of seconds since 1970")
	}
	if off := now.Sub(time.Unix(seconds, 0)).Abs(); off > clockTolerance {
		return nil, fmt.Errorf("header webhook-timestamp is more than %v off: set the sender's clock, and sign each request anew", clockTolerance)
	}
	var want [][]byte
	for _, s := range strings.Fields(signatures) {
		if encoded, ok := strings.CutPrefix(s, "v1,"); ok && len(want) < maxSignatures {
			if mac, err := base64.StdEncoding.DecodeString(encoded); err == nil && len(mac) == sha256.Size {
				want = append(want, mac)
			}
		}
	}
	if len(want) == 0 {
		return nil, errors.New("header webhook-signature has no v1,BASE64 of an HMAC-SHA256")
	}
	return func(body []byte, k *hookKey) bool {
		got, ok := standardwebhooks.MAC(k.key, id, stamp, body), false
		for _, w := range want {
			ok = hmac.Equal(got, w) || ok
		}
		return ok
	}, nil
}

func (generic) read(h http.Header, payload []byte) (delivery, error) {
	d := delivery{kind: "push", id: h.Get("webhook-id")}
	var p struct {
		EventType  string `json:"eventType"` // Azure DevOps' alone
		Repository string `json:"repository"`
		Ref        string `json:"ref"`
		Before     string `json:"before"`
		After      string `json:"after"`
		Pusher     string `json:"pusher"`
		DetailType string `json:"detail-type"` // Amazon EventBridge's, of an event as it is

		Message json.RawMessage `json:"message"` // of the commit; something else of Azure DevOps
		Paths   textList        `json:"paths"`   // all files that differ between before and after, where it is there
	}
	if err := decode(payload, &p); err != nil {
		return d, err
	}
	if p.EventType != "" {
		return d, d.readAzure(p.EventType, payload)
	}
	switch {
	case p.Repository == "" && p.DetailType != "":
		return d, errors.New("repository: is missing: this is an event of Amazon EventBridge as it is: give the rule's target the input transformer that makes a generic webhook of it")
	case p.Repository == "":
		return d, errors.New(`repository: is missing: give the repository's URL, as in {"repository": URL, "ref": "refs/heads/main", "after": COMMIT}`)
	}
	e := event{repositories: []string{p.Repository}, ref: p.Ref, before: p.Before, commit: p.After, pusher: p.Pusher, paths: fileLists{p.Paths}, pathsComplete: p.Paths.given()}
	_ = json.Unmarshal(p.Message, &e.message) // what is no text is no message
	err := e.check("ref", "after")
	d.events = []event{e}
	return d, err
}
