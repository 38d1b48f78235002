package kato

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fenceline/fenceline/fence"
)

// Where the setting stands: in the fence component, under fence.Key (Stackato 3.0 to 3.2, a string) or
// under listKey (from 3.4, a list of which the first is used and the others are fallbacks). For a while
// there were lists under fence.Key, too, so that the value's own type counts.
const (
	component = "fence"
	section   = "docker"
	stringKey = "image"
	listKey   = section + "/images"
)

// document is what the fence component says about images.
type document struct {
	key    string   // that the setting stands under; fence.Key where there is none yet
	isList bool     // whether a list stands there
	images []string // the one, or those of the list
}

// setting is what it comes to. A list without an entry is a setting that was never set.
func (d document) setting() fence.Setting {
	if len(d.images) == 0 || d.images[0] == "" {
		return fence.Setting{}
	}
	state, _ := json.Marshal([]any{d.key, d.isList, d.images})
	sum := sha256.Sum256(state)
	return fence.Setting{Value: d.images[0], Revision: fence.Revision(hex.EncodeToString(sum[:16]))}
}

// parse reads what `kato config get -j fence` printed. Errors go on from these words. They quote little
// of it: a component's document can hold secrets.
func parse(out []byte) (document, error) {
	if !utf8.Valid(out) {
		return document{}, fmt.Errorf("printed what is no UTF-8 (%s)", beginning(out))
	}
	out = withoutWarnings(out)
	if len(out) == 0 {
		return document{}, errors.New("printed nothing: is this kato the cluster's own?")
	}
	var top map[string]json.RawMessage
	if err := decode(out, &top); err != nil {
		return document{}, fmt.Errorf("printed no JSON document (%s): %w", beginning(out), err)
	}
	if len(top) == 0 {
		return document{key: fence.Key}, nil
	}
	raw, ok := top[section]
	if !ok {
		return document{}, fmt.Errorf("answered for another component: there is no %q in it, but %s", section, names(top))
	}
	var docker map[string]json.RawMessage
	if err := json.Unmarshal(raw, &docker); err != nil {
		return document{}, fmt.Errorf("answered with %q being %s, where keys and values belong", section, kind(raw))
	}
	return chosen(docker)
}

// chosen is the setting under the key that is there. One that holds null is not.
func chosen(docker map[string]json.RawMessage) (document, error) {
	one, hasOne := docker[stringKey]
	_, listName, _ := strings.Cut(listKey, "/")
	several, hasList := docker[listName]
	isNull := func(raw json.RawMessage) bool { return kind(raw) == "null" }
	switch {
	case hasOne && hasList && !isNull(one) && !isNull(several):
		return document{}, fmt.Errorf("has both %[1]s and %[2]s, and only one of them counts: delete the other (kato config del fence %[1]s, where fence reads the list, as from Stackato 3.4)",
			fence.Key, listKey)
	case hasList && (!hasOne || isNull(one)):
		return listUnder(listKey, several)
	case hasOne && kind(one) == "a list":
		return listUnder(fence.Key, one)
	case hasOne && isNull(one):
		return document{key: fence.Key}, nil
	case hasOne:
		var image string
		if err := json.Unmarshal(one, &image); err != nil {
			return document{}, fmt.Errorf("has %s under %s, where the name of an image belongs: set one by hand (kato config set --force fence %[2]s NAME)", kind(one), fence.Key)
		}
		return document{key: fence.Key, images: []string{image}}, checkFirst(fence.Key, image)
	}
	return document{key: fence.Key}, nil
}

func listUnder(key string, raw json.RawMessage) (document, error) {
	d := document{key: key, isList: true}
	var entries []json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		return document{}, fmt.Errorf("has %s under %s, where a list of images belongs: set one by hand (kato config set -j --force fence %[2]s '[\"NAME\"]')", kind(raw), key)
	}
	for i, entry := range entries {
		var image string
		if err := json.Unmarshal(entry, &image); err != nil || image == "" || kind(entry) == "null" {
			return document{}, fmt.Errorf("has %s as entry %d of %s, where the name of an image belongs: set the list by hand (kato config set -j fence %[3]s '[\"NAME\"]')", kind(entry), i+1, key)
		}
		d.images = append(d.images, image)
	}
	if len(d.images) == 0 {
		return d, nil
	}
	return d, checkFirst(key, d.images[0])
}

// checkFirst refuses a current image that is none. "" is a setting that is not set.
func checkFirst(key, image string) error {
	if err := fence.CheckValue(image); image != "" && err != nil {
		return fmt.Errorf("has something else than an image under %s: %w: set it by hand", key, err)
	}
	return nil
}

// decode reads one JSON value with nothing behind it.
func decode(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

// withoutWarnings leaves out the lines that begin with WARNING. No line within a JSON document does.
func withoutWarnings(out []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(out) {
		if !bytes.HasPrefix(line, []byte("WARNING")) {
			kept = append(kept, line...)
		}
	}
	return bytes.TrimSpace(kept)
}

// kind is what a JSON value is, in words.
func kind(raw json.RawMessage) string {
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "a list"
	case string(raw) == `""`:
		return "an empty string"
	case raw[0] == '"':
		return "a string"
	case raw[0] == 't', raw[0] == 'f':
		return "true or false"
	case raw[0] == 'n':
		return "null"
	}
	return "a number"
}

// names are some of a document's keys.
func names(top map[string]json.RawMessage) string {
	keys := slices.Sorted(maps.Keys(top))
	var quoted []string
	for _, k := range keys[:min(len(keys), 4)] {
		quoted = append(quoted, fmt.Sprintf("%q", clip(k, 40)))
	}
	return strings.Join(quoted, ", ")
}

// beginning quotes how an answer begins, without passwords of addresses.
func beginning(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return fmt.Sprintf("it begins with %q", clip(hidden(line), 60))
}

var userinfo = regexp.MustCompile(`://[^\s/@]*@`)

// hidden is a text without the userinfo of its URLs.
func hidden(s string) string { return userinfo.ReplaceAllString(s, "://…@") }

// clip is the beginning of a text.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
