package apply

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
)

// The forms of a file.
const (
	FormatPlain    = "plain"    // the image's name alone
	FormatJSON     = "json"     // an object with all of Values
	FormatEnv      = "env"      // the line NAME=value of an environment file, and nothing else
	FormatTOML     = "toml"     // the value of a key, and nothing else
	FormatTemplate = "template" // what a text/template makes of Values
)

// Formats lists them.
func Formats() []string {
	return []string{FormatPlain, FormatJSON, FormatEnv, FormatTOML, FormatTemplate}
}

// The keys where none is given.
const (
	DefaultVariable = "FENCELINE_IMAGE"
	DefaultTOMLKey  = "runners.docker.image" // of GitLab Runner's config.toml
)

// Values is what a file can be told, and a command in its environment.
type Values struct {
	Image    string `json:"image"`              // as the fleet names it: name@sha256:…, or its local name
	Local    string `json:"local,omitempty"`    // the tag by which this node's engine keeps it
	Name     string `json:"name"`               // of the image, without its digest
	Digest   string `json:"digest"`             // sha256:…
	Previous string `json:"previous,omitempty"` // the image that was applied here before; "" for none
	Build    string `json:"build,omitempty"`
	Fleet    string `json:"fleet"`
	Node     string `json:"node"`
	Revision uint64 `json:"revision"` // of the fleet's record by which the image became current here
}

// sample is what forms are tried with before there is an image.
func sample() Values {
	const digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	return Values{
		Image: "registry.example.com/image@" + digest, Local: "fenceline.local/fleet:0000000000000000", Name: "registry.example.com/image", Digest: digest,
		Previous: "registry.example.com/image@" + digest, Build: "build", Fleet: "fleet", Node: "node", Revision: 1,
	}
}

// form makes a file's content.
type form interface {
	name() string
	// render returns the content that names an image, made of the one that is there: nil where there is
	// no file. Had is what that names, for people.
	render(content []byte, v Values) (out []byte, had string, err error)
}

// newForm is the form that a configuration asks for.
func newForm(c Config) (form, error) {
	format := c.Format
	if format == "" && c.Template != "" {
		format = FormatTemplate
	}
	format = cmp.Or(format, FormatPlain)
	if c.Template != "" && format != FormatTemplate {
		return nil, wrong(FieldTemplate, "a template makes a file of the format %s, not %s: leave one of them out", FormatTemplate, messages.Shorten(format, 40))
	}
	if c.Key != "" && format != FormatEnv && format != FormatTOML {
		return nil, wrong(FieldKey, "the format %s has no key: it is for %s and %s", messages.Shorten(format, 40), FormatEnv, FormatTOML)
	}
	switch format {
	case FormatPlain:
		return plain{}, nil
	case FormatJSON:
		return object{}, nil
	case FormatEnv:
		return newVariable(c.Key)
	case FormatTOML:
		return newTOMLKey(c.Key)
	case FormatTemplate:
		return readTemplate(c.Template)
	}
	return nil, wrong(FieldFormat, "there is no format %q%s: name one of %s", messages.Shorten(format, 40), suggest.DidYouMean(format, Formats()), strings.Join(Formats(), ", "))
}

// plain is FormatPlain.
type plain struct{}

func (plain) name() string { return FormatPlain }

func (plain) render(content []byte, v Values) ([]byte, string, error) {
	return []byte(v.Image + "\n"), firstLine(content), nil
}

// object is FormatJSON.
type object struct{}

func (object) name() string { return FormatJSON }

func (object) render(content []byte, v Values) ([]byte, string, error) {
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, "", fmt.Errorf("writing JSON: %w", err)
	}
	return append(out, '\n'), namedIn(content), nil
}

// firstLine is the beginning of a content, for people.
func firstLine(content []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(content), []byte("\n"))
	return messages.Shorten(strings.TrimSpace(string(line)), 200)
}

var imageForm = regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9.:/_-]*@sha256:[0-9a-f]{64}`)

// namedIn is the image that a content names, or its first line where it names none.
func namedIn(content []byte) string {
	if found := imageForm.Find(content); found != nil {
		return messages.Shorten(string(found), 300)
	}
	return firstLine(content)
}
