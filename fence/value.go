package fence

import (
	"errors"
	"fmt"
	"regexp"
)

// valueForm is what may stand in a fence config. Names of images that a person sets can have a tag, or
// neither tag nor digest, so this is wider than what fenceline sets. It is narrow enough for a value to be
// one argument of a command, one word of a file and one line of what people read.
var valueForm = regexp.MustCompile(`^[A-Za-z0-9\[][A-Za-z0-9._:/@+\[\]-]*$`)

// valueMost is how long a value may be, in bytes: a repository's name has at most 255.
const valueMost = 512

// CheckValue tells whether a value may be set: whether it can be the name of an image. Backends whose store
// others write to ask it of what they read, too.
func CheckValue(value string) error {
	switch {
	case value == "":
		return errors.New("the value is empty: give an image")
	case len(value) > valueMost:
		return fmt.Errorf("the value begins with %.40q and has %d bytes: an image's name has at most %d", value, len(value), valueMost)
	case !valueForm.MatchString(value):
		return fmt.Errorf("the value %q is not the name of an image, such as registry.example.com/exampleco/newimg@sha256:…", value)
	}
	return nil
}
