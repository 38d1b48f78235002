package producer

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// forge is one kind of sender of webhooks.
type forge interface {
	// name is the forge's word in the pipeline file and its path below /hooks/.
	name() string
	// proof reads the signature of a request received at now. Its error is a refusal
	// that tells the sender what is missing, and nothing about any pipeline.
	proof(h http.Header, now time.Time) (proof, error)
	// event reads what a verified request's payload tells. Errors name the field.
	event(h http.Header, payload []byte) (event, error)
}

// proof tells whether a body was signed with a secret, in constant time.
type proof func(body []byte, s *hookSecret) bool

// event is what a webhook tells: a push, or nothing of interest.
type event struct {
	kind         string   // the forge's own word
	delivery     string   // the forge's ID of the request, for its log and ours; not signed
	ignored      string   // why nothing is to be done, or ""
	stranger     bool     // no pipeline has any of its repositories
	ping         bool     // it asks whether pushes would be taken
	repositories []string // the URLs that the forge has for the repository
	ref          string   // full, such as refs/heads/main
	commit       string   // the ref's commit now
	pusher       string   // for people
}

// forges has every forge that there is.
func forges() []forge { return []forge{github{}, gitea{}, generic{}} }

func forgeNames() []string {
	var names []string
	for _, f := range forges() {
		names = append(names, f.name())
	}
	return names
}

// hexProof is an HMAC-SHA256 of the raw body in hexadecimal digits.
func hexProof(digits string) (proof, error) {
	want, err := hex.DecodeString(digits)
	if err != nil || len(want) != sha256.Size {
		return nil, errors.New("is not an HMAC-SHA256 in hexadecimal digits")
	}
	return func(body []byte, s *hookSecret) bool {
		mac := hmac.New(sha256.New, s.text)
		mac.Write(body)
		return hmac.Equal(mac.Sum(nil), want)
	}, nil
}

// one returns a header's value, and an error when it is missing or given twice, since then
// it is not known which one counts.
func one(h http.Header, name string) (string, error) {
	v := h.Values(name)
	if len(v) == 0 || v[0] == "" {
		return "", fmt.Errorf("header %s is missing", name)
	}
	if len(v) > 1 {
		return "", fmt.Errorf("header %s is given %d times", name, len(v))
	}
	return v[0], nil
}

// repository is what payloads have of one.
type repository struct {
	CloneURL string `json:"clone_url"`
	SSHURL   string `json:"ssh_url"`
	HTMLURL  string `json:"html_url"`
}

func (r repository) urls() []string {
	return slices.DeleteFunc([]string{r.CloneURL, r.SSHURL, r.HTMLURL}, func(u string) bool { return u == "" })
}

// push is what the payload of a push has in common for all forges. Only what is used is read.
type push struct {
	Ref        string     `json:"ref"`
	After      string     `json:"after"`
	Deleted    bool       `json:"deleted"`
	Repository repository `json:"repository"`
	Pusher     struct {
		Name     string `json:"name"`
		Login    string `json:"login"`
		UserName string `json:"username"`
	} `json:"pusher"`
}

// readPush reads the payload of GitHub's push event, which Gitea and Forgejo share.
func readPush(body []byte, e event) (event, error) {
	var p push
	if err := decode(body, &p); err != nil {
		return e, err
	}
	e.repositories = p.Repository.urls()
	if len(e.repositories) == 0 {
		return e, errors.New("repository.clone_url: is missing: is this the payload of a push?")
	}
	for _, name := range []string{p.Pusher.Name, p.Pusher.Login, p.Pusher.UserName} {
		if name != "" {
			e.pusher = name
			break
		}
	}
	return e.pushed(p.Ref, p.After, p.Deleted)
}

// pushed completes an event with the ref that was pushed and its commit.
func (e event) pushed(ref, commit string, deleted bool) (event, error) {
	e.ref, e.commit = ref, commit
	branch, isBranch := strings.CutPrefix(ref, "refs/heads/") // of whatever name: only those that a pipeline has are built
	switch {
	case ref == "":
		return e, errors.New("ref: is missing: is this the payload of a push?")
	case strings.HasPrefix(ref, "refs/tags/"):
		e.ignored = fmt.Sprintf("%q is a tag: only branches are built", clip(ref))
		return e, nil
	case !isBranch:
		e.ignored = fmt.Sprintf("%q is not a branch: only branches are built", clip(ref))
		return e, nil
	}
	if deleted || commit != "" && strings.Trim(commit, "0") == "" {
		e.ignored = fmt.Sprintf("branch %q was deleted", clip(branch))
		return e, nil
	}
	if err := messages.CheckCommit(commit); err != nil {
		return e, fmt.Errorf("after: %w", err)
	}
	return e, nil
}

// decode reads a payload. Fields that it has no use for may be anything.
func decode(body []byte, to any) error {
	err := json.Unmarshal(body, to)
	if err == nil {
		return nil
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return fmt.Errorf("%s: is a JSON %s where %s was expected", wrongType.Field, wrongType.Value, inJSON(wrongType.Type))
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return errors.New("body is empty where a JSON payload was expected")
	}
	return fmt.Errorf("body is not a JSON payload: %w", err)
}

// inJSON is what a Go type is in JSON, in words.
func inJSON(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return inJSON(t.Elem())
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	}
	return "a number"
}
