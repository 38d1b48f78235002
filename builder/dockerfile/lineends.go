package dockerfile

import (
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// What is said of commands and files with Windows line ends.
const (
	windowsLines    = "has Windows line ends (CRLF), which end up in the commands and files of a here-document"
	windowsLinesFix = "save the Dockerfile with Unix line ends, as dos2unix does, and set \"*  text eol=lf\" in .gitattributes"
)

// lineEnds looks for Windows line ends in here-documents. Elsewhere the frontend takes them away.
func (f *file) lineEnds(instructions []*parser.Node) {
	for _, n := range instructions {
		if slices.ContainsFunc(n.Heredocs, func(h parser.Heredoc) bool { return strings.Contains(h.Content, "\r\n") }) {
			f.fault(n.StartLine, windowsLines, windowsLinesFix)
			return
		}
	}
}
