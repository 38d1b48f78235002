// Package component reads and edits the JSON document of Stackato's fence component, as
// `kato config get -j fence` prints it and as Redis holds it. The document names the image under
// one of two key paths: docker/image, a string (3.0 to 3.2), or docker/images, a list whose first is
// used and whose others are fallbacks (3.4). Which of them a cluster has is read off its document
// each time.
//
// The files, in reading order:
//
//	document.go  Document: which key names the image, and the setting that it makes
//	fallbacks.go what a list becomes with another image in front
//	edit.go      the same document with another image, and not one other byte changed
//	members.go   where in a text the members of an object stand
package component
