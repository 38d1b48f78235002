package dockerfile

import (
	"bytes"
	"regexp"
)

// What is said of commands and files with Windows line ends.
const (
	WindowsLines    = "has Windows line ends (CRLF), which end up in the commands and files of a here-document"
	WindowsLinesFix = "save the Dockerfile with Unix line ends, as dos2unix does, and set \"*  text eol=lf\" in .gitattributes"
)

// hereDocument is how an instruction begins one.
var hereDocument = regexp.MustCompile(`(?i)^\s*(RUN|COPY|ADD)\s.*<<-?["']?[A-Za-z_]`)

// lineEnds looks for Windows line ends in a file with here-documents. Elsewhere the frontend takes them away.
func (f *file) lineEnds() {
	for i, line := range bytes.Split(f.content, []byte("\n")) {
		if bytes.HasSuffix(line, []byte("\r")) && hereDocument.Match(line) {
			f.fault(i+1, WindowsLines, WindowsLinesFix)
			return
		}
	}
}
