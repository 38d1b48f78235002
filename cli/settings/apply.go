package settings

import (
	"strings"

	"github.com/fenceline/fenceline/distributor/apply"
	"github.com/spf13/pflag"
)

// AddApply adds the flags that say where a node writes the current image, and what it runs then.
func AddApply(fs *pflag.FlagSet, c *apply.Config) {
	FileVar(fs, &c.File, "apply", "", "file that names the current image to the software on this node")
	fs.StringVar(&c.Format, "apply-format", "", "its form: "+strings.Join(apply.Formats(), ", ")+" (default \""+apply.FormatPlain+"\")")
	fs.StringVar(&c.Key, "apply-key", "", "the variable that env sets, or the key that toml sets (default: "+apply.DefaultVariable+", or "+apply.DefaultTOMLKey+")")
	FileVar(fs, &c.Template, "apply-template", "", "file with the Go template that makes the file, for the form template")
	fs.StringVar(&c.Command, "apply-command", "", "command for /bin/sh after the file was written, such as a reload")
	SpanVar(fs, &c.Timeout, "apply-timeout", apply.DefaultTimeout, "how long that command may run")
	FileVar(fs, &c.State, "apply-state", "", "file that keeps what was applied (default: .NAME.fenceline beside the file)")
	Explain(fs, "apply", "It is replaced as a whole once the node holds the image, keeps its owner and mode, and may be a symbolic link, which is followed.")
	Explain(fs, "apply-format", "env changes one line NAME=value, toml the value of one key: all else in the file stays.")
	Explain(fs, "apply-key", "runners[NAME].docker.image is that of GitLab Runner's runner NAME alone.")
	Explain(fs, "apply-template", "Its fields are Image, Local, Name, Digest, Previous, Build, Fleet, Node and Revision.")
	Explain(fs, "apply-command", "It is run once for each change, and again after a failure; what it leaves in its process group is ended with it. "+
		"Its environment has FENCELINE_IMAGE, FENCELINE_PREVIOUS_IMAGE, FENCELINE_FLEET, FENCELINE_REVISION and more.")
	Explain(fs, "apply-timeout", "Then its process group is ended.")
}
