package producer

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
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
	// signedBy names the headers, any one of which has what proves that a request is signed, or bearerScheme or basicScheme.
	signedBy() []string
	// proof reads the signature of a request received at now. Its error is a refusal
	// that tells the sender what is missing, and nothing about any pipeline.
	proof(h http.Header, now time.Time) (proof, error)
	// read reads what a verified request's payload tells. Errors name the field; the
	// delivery is then read as far as it could be.
	read(h http.Header, payload []byte) (delivery, error)
}

// proof tells whether a body was signed with a key, in constant time.
type proof func(body []byte, k *hookKey) bool

// delivery is a webhook as its forge sent it: pushes, a test, or nothing of interest.
type delivery struct {
	kind    string  // the forge's own word
	id      string  // the forge's ID of the request, for its log and ours; not signed
	ignored string  // why nothing is to be done with all of it, or ""
	events  []event // a push has one for each ref that it changed

	ping   *ping       // it asks whether pushes would be taken, or nil
	tested *pingAnswer // whether they would
}

// event is a push's change of one ref.
type event struct {
	repositories []string // the URLs that the forge has for the repository
	hostless     string   // where it has none: the repository's path at whatever host, as scm/key/slug
	ref          string   // full, such as refs/heads/main or refs/tags/v1
	before       string   // the ref's object until now, in the forge's own field for it: zeros, or "", where there was none
	commit       string   // the ref's commit now; "" where it was deleted
	deleted      bool     // the ref is gone
	forced       bool     // the forge says that the push dropped commits; most don't say it
	pusher       string   // for people
	message      string   // the commit message of commit, or "" where the payload doesn't have it

	// paths are files that the pushed commits changed. Where pathsComplete, no other file differs
	// between before and commit; else there may be others, and the payload doesn't tell which.
	paths         fileLists
	pathsComplete bool

	ignored  string // why nothing is built of it, or ""
	stranger bool   // that is because no pipeline has any of its repositories
}

// branch is the name of the branch that was pushed, of whatever form: only those that a pipeline has
// are built.
func (e *event) branch() (string, bool) { return strings.CutPrefix(e.ref, branchRefs) }

// tag is the name of the tag that was pushed.
func (e *event) tag() (string, bool) { return strings.CutPrefix(e.ref, tagRefs) }

const (
	branchRefs = messages.BranchRefs
	tagRefs    = messages.TagRefs
)

// forges has every forge that there is.
func forges() []forge {
	return slices.Concat([]forge{github{}, gitlab{}}, giteaAlike(), []forge{bitbucket{}, generic{}})
}

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
	return func(body []byte, k *hookKey) bool {
		mac := hmac.New(sha256.New, k.text)
		mac.Write(body)
		return hmac.Equal(mac.Sum(nil), want)
	}, nil
}

// prefixedProof reads a header that has an HMAC-SHA256 after sha256=.
func prefixedProof(h http.Header, header string) (proof, error) {
	v, err := one(h, header)
	if err != nil {
		return nil, fmt.Errorf("%w: give the webhook a secret, the same as in the pipeline's secret_file", err)
	}
	digits, ok := strings.CutPrefix(v, "sha256=")
	if !ok {
		return nil, errors.New("header " + header + " does not begin with sha256=")
	}
	p, err := hexProof(digits)
	if err != nil {
		return nil, fmt.Errorf("header %s %w", header, err)
	}
	return p, nil
}

// wordProof is the secret itself. Hashes are compared, so that not even its length shows.
func wordProof(word string) proof {
	given := sha256.Sum256([]byte(word))
	return func(_ []byte, k *hookKey) bool {
		want := sha256.Sum256(k.text)
		return subtle.ConstantTimeCompare(given[:], want[:]) == 1
	}
}

// errUnsignedTest is that a forge tests the connection alone, by a request that it never signs.
var errUnsignedTest = errors.New("a test of the connection: this address is right. The forge does not sign its test, so whether the secret, the repository and the branch are right shows with the first push")

// notAPush says that an event is of no use, and what to set.
func notAPush(kind, setting string) string {
	return fmt.Sprintf("event %q is not a push: %s in the webhook's settings", clip(kind), setting)
}

// firstOf is the first of some headers that a request has.
func firstOf(h http.Header, names ...string) string {
	for _, name := range names {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// nonEmpty are those of the texts that are not empty.
func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
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

// check refuses an event that can't be acted on, by the names that the payload has for its fields.
func (e *event) check(refField, commitField string) error {
	if e.ref == "" {
		return fmt.Errorf("%s: is missing: is this the payload of a push?", refField)
	}
	if zeros(e.commit) {
		e.deleted = true
	}
	_, isBranch := e.branch()
	_, isTag := e.tag()
	if e.deleted {
		e.commit = ""
	} else if isBranch || isTag {
		if err := messages.CheckCommit(e.commit); err != nil {
			return fmt.Errorf("%s: %w", commitField, err)
		}
	}
	return nil
}

// zeros tells whether an object's name is the one that git gives in place of none.
func zeros(commit string) bool { return commit != "" && strings.Trim(commit, "0") == "" }

// maxParts bounds the objects and lists of a payload, each of which takes more memory than it may have bytes. What forges
// send, up to maxHookBytes, has fewer.
const maxParts = 400_000

// decode reads a payload. Fields that it has no use for may be anything.
func decode(body []byte, to any) error {
	if n := bytes.Count(body, []byte("{")) + bytes.Count(body, []byte("[")); n > maxParts {
		return fmt.Errorf("body has %d objects and lists, and %d are read at most: is this the payload of a push?", n, maxParts)
	}
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
