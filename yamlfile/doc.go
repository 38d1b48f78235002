// Package yamlfile reads YAML documents that people write, node by node: every problem has its
// line, and reading goes on after each, so that all are reported together.
//
// file.go reads a file's content, and document.go parses it. reader.go goes through a document's
// mappings, lists and values. problem.go has what can be wrong, and describe.go the words for it.
package yamlfile
