// Package yamlfile reads YAML documents that people write, node by node: every problem has its
// line, and reading goes on after each, so that all are reported together.
//
// The files, in reading order:
//
//	file.go      a file's content
//	document.go  a document is parsed
//	syntax.go    what the parser has trouble with, and where
//	variables.go what a variable in a value stands for, which problems don't show
//	reader.go    its mappings, lists and values are gone through
//	problem.go   what can be wrong, with the line
//	describe.go  the words for it
package yamlfile
