package messages

import (
	"fmt"
	"slices"
	"strings"
)

// CheckPreloadFrom tells whether s can be an entry of a fleet's list of repositories that its nodes may
// fetch from: a registry's HOST, or a repository's HOST/PATH.
func CheckPreloadFrom(s string) error {
	if host := isHost(s); len(s) <= 255 && (host && hostAndPort(s) || !host && imageName(s)) {
		return nil
	}
	return fmt.Errorf("%q is neither a registry's HOST nor a repository's HOST/PATH in lower case without tag or digest, such as %q",
		clip(s), "registry.example.com/exampleco")
}

// hubOfficial has Docker Hub's own images. Any other docker.io/NAME is the image NAME among them.
const hubOfficial = "docker.io/library"

// isHost tells whether a name's first part names a registry, as engines tell it from a folder on Docker Hub,
// and nothing follows.
func isHost(s string) bool {
	return s == "localhost" || !strings.Contains(s, "/") && strings.ContainsAny(s, ".:")
}

// CheckPreload refuses an image whose repository is none of from's, nor below one of them. An empty
// list allows every image.
func CheckPreload(from []string, image Image) error {
	if len(from) == 0 {
		return nil
	}
	name := CanonicalName(image.Name())
	if CheckImageName(image.Name()) == nil && slices.ContainsFunc(from, func(entry string) bool {
		if !isHost(entry) && entry != hubOfficial {
			entry = CanonicalName(entry)
		}
		return name == entry || strings.HasPrefix(name, entry+"/")
	}) {
		return nil
	}
	return fmt.Errorf("nodes of this fleet may fetch from %s only, and %s is not of it: list its repository in the fleet's preload_from, or build the image from another base",
		joinSome(from, 5), clip(image.Name()))
}

// joinSome joins the first few.
func joinSome(all []string, most int) string {
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}

// CanonicalName is an image's name, with or without a digest, with Docker Hub's host and folder spelled out: engines
// say debian for docker.io/library/debian.
func CanonicalName(name string) string {
	host, rest, ok := strings.Cut(name, "/")
	switch {
	case !ok:
		return hubOfficial + "/" + name
	case host == "index.docker.io":
		return CanonicalName("docker.io/" + rest)
	case host == "docker.io" && !strings.Contains(rest, "/"):
		return hubOfficial + "/" + rest
	case host != "docker.io" && host != "localhost" && !strings.ContainsAny(host, ".:"):
		return "docker.io/" + name
	}
	return name
}
