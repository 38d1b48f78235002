package messages

import (
	"fmt"
	"strings"
)

// Image is an image by its content: name@sha256:…, the only form in which fenceline names
// what it built. The zero value names nothing.
type Image string

// check tells whether i is well formed, or names nothing.
func (i Image) check() error {
	if i == "" {
		return nil
	}
	_, err := ParseImage(string(i))
	return err
}

// NewImage joins a repository name and a digest.
func NewImage(name, digest string) (Image, error) {
	if err := CheckImageName(name); err != nil {
		return "", err
	}
	if err := CheckDigest(digest); err != nil {
		return "", err
	}
	return Image(name + "@" + digest), nil
}

// ParseImage reads name@sha256:….
func ParseImage(s string) (Image, error) {
	name, digest, ok := strings.Cut(s, "@")
	if !ok {
		return "", fmt.Errorf("image %q has no digest: name it as NAME@sha256:…", clip(s))
	}
	return NewImage(name, digest)
}

// Name is the repository part, with the registry's host.
func (i Image) Name() string { n, _, _ := strings.Cut(string(i), "@"); return n }

// Digest is the sha256:… part, or "" when i names nothing.
func (i Image) Digest() string { _, d, _ := strings.Cut(string(i), "@"); return d }

// String returns name@sha256:….
func (i Image) String() string { return string(i) }

// CheckImageName tells whether s names an image repository: host and path, with no tag
// and no digest.
func CheckImageName(s string) error {
	if len(s) <= 255 && imageName(s) {
		return nil
	}
	return fmt.Errorf("image name %q is not HOST/PATH in lower case without tag or digest, such as %q", clip(s), "registry.example.com/exampleco/newimg")
}

// imageName tells whether s is the repository part of an image reference: the OCI
// distribution specification's <name>, with an optional host and port in front.
func imageName(s string) bool {
	if host, rest, ok := strings.Cut(s, "/"); ok && hostAndPort(host) {
		s = rest
	}
	for part := range strings.SplitSeq(s, "/") {
		if !pathComponent(part) {
			return false
		}
	}
	return true
}

// hostAndPort tells whether s is a registry's host, with a port or none.
func hostAndPort(s string) bool {
	host, port, ok := strings.Cut(s, ":")
	if ok && (port == "" || len(port) > 5 || strings.Trim(port, "0123456789") != "") {
		return false
	}
	if host == "" || !alphanumeric(host[0]) || !alphanumeric(host[len(host)-1]) {
		return false
	}
	for i := range len(host) {
		if c := host[i]; !alphanumeric(c) && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// pathComponent tells whether s is letters and digits, with ".", "_", "__" or hyphens between.
func pathComponent(s string) bool {
	if s == "" || !alphanumeric(s[0]) || !alphanumeric(s[len(s)-1]) {
		return false
	}
	from := 0 // of the separator that i is in
	for i := range len(s) {
		if !alphanumeric(s[i]) {
			continue
		}
		switch between := s[from:i]; between {
		case "", ".", "_", "__":
		default:
			if strings.Trim(between, "-") != "" {
				return false
			}
		}
		from = i + 1
	}
	return true
}

func alphanumeric(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// CheckDigest tells whether s is a sha256 digest in the form of the OCI image
// specification: sha256: and 64 hexadecimal digits.
func CheckDigest(s string) error {
	if digits, ok := strings.CutPrefix(s, "sha256:"); !ok || !hexadecimal(digits, 64) {
		return fmt.Errorf("digest %q is not of the form sha256:<64 hexadecimal digits>", clip(s))
	}
	return nil
}

var tagForm = longForm(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`) //nolint:gochecknoglobals // a constant

// checkTag tells whether s is a tag by the OCI distribution specification, or none.
func checkTag(s string) error {
	if s != "" && !tagForm().MatchString(s) {
		return fmt.Errorf("%q is not an image tag: use letters, digits, '.', '_' and '-', at most 128", clip(s))
	}
	return nil
}
