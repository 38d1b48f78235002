package imagediff

import (
	"github.com/fenceline/fenceline/imagediff/packagedb"
	"github.com/fenceline/fenceline/messages"
)

// Diff is how two images differ.
type Diff struct {
	From     Image     `json:"from"`
	To       Image     `json:"to"`
	Differs  bool      `json:"differs"` // their manifests for the platform are not the same one
	Settings []Setting `json:"settings,omitempty"`
	Packages Packages  `json:"packages"`
	Hooks    []Hook    `json:"hooks,omitempty"`  // those that differ
	Layers   []Layer   `json:"layers,omitempty"` // from the lowest: shared ones first, then those of From, then those of To
	Unknown  []string  `json:"unknown,omitempty"`

	// Something in Unknown is about packages, or about hooks: that none is listed doesn't say then that none differs.
	PackagesUnknown bool `json:"packages_unknown,omitempty"`
	HooksUnknown    bool `json:"hooks_unknown,omitempty"`
}

// Image is one of the two.
type Image struct {
	Image    messages.Image `json:"image"`    // as it is named by its digest
	Manifest string         `json:"manifest"` // digest of the platform's manifest; that of Image where it is no index
	Platform string         `json:"platform,omitempty"`
	Layers   int            `json:"layers"`
	Bytes    int64          `json:"bytes"` // compressed size of the layers
}

// Setting is a part of the configuration that differs.
type Setting struct {
	Name string  `json:"name"`          // such as user, env or label
	Key  string  `json:"key,omitempty"` // of env, labels, ports and volumes
	From *string `json:"from"`          // nil where it is not set
	To   *string `json:"to"`
}

// Packages are the packages that differ, each list sorted by name.
type Packages struct {
	Added     []Package `json:"added,omitempty"`
	Removed   []Package `json:"removed,omitempty"`
	Changed   []Change  `json:"changed,omitempty"`
	Unchanged int       `json:"unchanged,omitempty"` // how many are the same; 0 where that was not looked at: none has changed then
	Unlisted  int       `json:"unlisted,omitempty"`  // that differ, beside those that are listed
}

// Package is a package of one image alone.
type Package struct {
	Manager string `json:"manager"` // dpkg, apk or rpm
	packagedb.Package
}

// Change is a package that both have, in other versions or for another architecture.
type Change struct {
	Manager string              `json:"manager"`
	Name    string              `json:"name"`
	From    []packagedb.Package `json:"from"` // several where it is installed more than once
	To      []packagedb.Package `json:"to"`
}

// Hook is an admin hook that differs.
type Hook struct {
	Path   string `json:"path"`
	Change string `json:"change"`         // added, removed or changed
	Mode   string `json:"mode,omitempty"` // how its mode changed, such as "0755 to 0644"
	Diff   string `json:"diff,omitempty"` // of its text, unified, with control characters as they are
	More   int    `json:"more,omitempty"` // lines of Diff that are left out
}

// Whose a layer is.
const (
	OfBoth = "both"
	OfFrom = "from"
	OfTo   = "to"
)

// Layer is a layer of one image or both.
type Layer struct {
	Of     string `json:"of"` // OfBoth, OfFrom or OfTo
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"`        // compressed
	By     string `json:"by,omitempty"` // what made it, as the image's history says
}
