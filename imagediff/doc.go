// Package imagediff tells how two images differ: their packages, admin hooks and settings, and their layers by size with what
// made them. It reads both from their registries, as streams, the layers that they share once: of each it keeps only the few files
// that tell it. Nothing is unpacked, and whatever an image holds, what is read, kept
// and told of it is bounded; what is not known for that is said.
//
// The files, in reading order:
//
//	diff.go      what is told: Diff and its parts
//	compare.go   Config, New, Compare
//	registry.go  how registries are spoken to, and what their errors mean
//	image.go     an image: its manifest, of an index the platform's, and its configuration
//	wanted.go    the files that tell how images differ
//	layer.go     a layer as a stream: unpacked, counted, held to its digest
//	overlay.go   what layers make of the files that are wanted: whiteouts, links, folders that are links
//	files.go     the files of two images, of as few layers as will do
//	packages.go  packages that came, went and changed
//	hooks.go     hooks that did
//	settings.go  environment, user, labels and the like
//	layers.go    layers by size, and which are shared
//	write.go     all of it for people
package imagediff
