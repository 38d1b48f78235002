package component

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/fenceline/fenceline/fence"
)

// The key paths under which a document names the image, as kato has them.
const (
	KeyImage  = fence.Key       // a string; for a while lists stood there, too
	KeyImages = "docker/images" // a list
)

const (
	docker = "docker"
	image  = "image"
	images = "images"
)

// Document is a fence component's document, read.
type Document struct {
	// Key is KeyImage or KeyImages: where the document names the image, or, where it names none, where
	// it will.
	Key string
	// List tells whether what stands there is a list.
	List bool
	// Images are the images that stand there, the one that is used first: one, or those of the list.
	Images []string

	text   []byte
	root   object
	docker *object // nil where there is none
	null   *span   // in the place of docker
	value  *span   // of Key; nil where it is not there
	items  []span  // of a list
}

// Read reads a document. An error says what is wrong with it and how it is put right.
func Read(text []byte) (*Document, error) {
	root, err := readRoot(text)
	if err != nil {
		return nil, err
	}
	d := &Document{Key: KeyImage, text: text, root: root}
	at, ok := root.last(docker)
	if !ok {
		return d, nil
	}
	if string(at.of(text)) == "null" {
		d.null = &at
		return d, nil
	}
	inner, err := readObject(text, at)
	if err != nil {
		return nil, fmt.Errorf("the key %s holds %s where fence has an object: `kato config del fence %[1]s` removes it", docker, kind(at.of(text)))
	}
	d.docker = &inner
	return d, d.choose()
}

// choose finds the key that is there. A key that holds null is not.
func (d *Document) choose() error {
	one, hasOne := d.docker.last(image)
	several, hasSeveral := d.docker.last(images)
	isNull := func(at span) bool { return string(at.of(d.text)) == "null" }
	switch {
	case hasOne && hasSeveral && !isNull(one) && !isNull(several):
		return fmt.Errorf("it has both %s and %s, and fence reads one of them: `kato config del fence %[1]s` removes the one that Stackato reads up to 3.2, `kato config del fence %[2]s` the one that it reads from 3.4 on",
			KeyImage, KeyImages)
	case hasSeveral && (!hasOne || isNull(one)):
		d.Key, d.List, d.value = KeyImages, true, &several
	case hasOne:
		d.List, d.value = one.of(d.text)[0] == '[', &one
	default:
		return nil
	}
	switch {
	case isNull(*d.value):
		return nil
	case d.List:
		return d.readList()
	}
	return d.readString()
}

// readRoot finds the members of the whole document.
func readRoot(text []byte) (object, error) {
	switch trimmed := bytes.Trim(text, " \t\r\n"); {
	case len(trimmed) == 0:
		return object{}, errors.New("the document of component fence is empty: `kato config set fence docker/image IMAGE` writes it anew")
	case !json.Valid(trimmed):
		return object{}, fmt.Errorf("the document of component fence is not JSON (%w): put it right by hand, or bring it back from a backup", whyNotJSON(trimmed))
	case trimmed[0] != '{':
		return object{}, fmt.Errorf("the document of component fence holds %s where an object belongs: is this the place of Stackato's configuration?", kind(trimmed))
	}
	return readObject(text, span{0, len(text)})
}

// whyNotJSON names the first offence, and where it is.
func whyNotJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
		return errors.New("it begins with a byte order mark")
	}
	var any json.RawMessage
	err := json.Unmarshal(text, &any)
	if offence := (*json.SyntaxError)(nil); errors.As(err, &offence) {
		return fmt.Errorf("byte %d: %w", offence.Offset, err)
	}
	return err
}

func (d *Document) readString() error {
	raw := d.value.of(d.text)
	s, err := text(raw)
	if err != nil {
		return fmt.Errorf("the key %s holds %s, not the name of an image: `kato config set --force fence %[1]s IMAGE` puts it right", d.Key, kind(raw))
	}
	d.Images = []string{s}
	return d.checkFirst()
}

func (d *Document) readList() error {
	raw := d.value.of(d.text)
	mend := "`kato config set -j --force fence " + d.Key + " '[\"IMAGE\"]'` puts it right"
	items, err := readItems(d.text, *d.value)
	if err != nil {
		return fmt.Errorf("the key %s holds %s, not a list: %s", d.Key, kind(raw), mend)
	}
	for n, item := range items {
		s, err := text(item.of(d.text))
		if err != nil || s == "" {
			return fmt.Errorf("the key %s holds %s as its number %d, not the name of an image: %s", d.Key, kind(item.of(d.text)), n+1, mend)
		}
		d.Images = append(d.Images, s)
	}
	d.items = items
	return d.checkFirst()
}

// checkFirst refuses what nobody meant to be the image.
func (d *Document) checkFirst() error {
	if len(d.Images) == 0 || d.Images[0] == "" {
		return nil
	}
	if err := fence.CheckValue(d.Images[0]); err != nil {
		return fmt.Errorf("under the key %s, %w: set it by hand (`kato config set`)", d.Key, err)
	}
	return nil
}

// text is a JSON string's.
func text(raw []byte) (s string, err error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", errors.New("no string")
	}
	if !utf8.Valid(raw) {
		return "", errors.New("no UTF-8")
	}
	err = json.Unmarshal(raw, &s)
	return s, err
}

// kind is what a JSON value is, for people.
func kind(raw []byte) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		if !utf8.Valid(raw) {
			return "a string that is no UTF-8"
		}
		if string(raw) == `""` {
			return "an empty string"
		}
		return "a string"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number"
}

// Setting is what the document says: nothing, where it has no image. Its revision tells apart what
// stands under the key, and which key that is; whatever else the document holds may change without
// moving it.
func (d *Document) Setting() fence.Setting {
	if len(d.Images) == 0 || d.Images[0] == "" {
		return fence.Setting{}
	}
	state, err := json.Marshal([]any{d.Key, d.List, d.Images})
	if err != nil { // strings can always be written
		panic(err)
	}
	sum := sha256.Sum256(state)
	return fence.Setting{Value: d.Images[0], Revision: fence.Revision(hex.EncodeToString(sum[:12]))}
}
