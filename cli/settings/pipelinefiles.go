package settings

import (
	"cmp"
	"os"

	"github.com/spf13/pflag"
)

// PipelineFiles say where the pipelines are declared.
type PipelineFiles struct {
	Config    string // the pipeline file
	Pipelines string // or the folder of pipeline files, in its place
}

// Add adds its flags.
func (p *PipelineFiles) Add(fs *pflag.FlagSet) {
	FileVar(fs, &p.Config, "config", "fenceline.yaml", "the pipeline file")
	FolderVar(fs, &p.Pipelines, "pipelines", "", "folder of pipeline files, in place of one: its *.yaml and *.yml, in the order of their names")
}

// Path is the file or the folder, as far as given tells that no other is meant.
func (p *PipelineFiles) Path(given *pflag.FlagSet) (string, error) {
	path, folder := cmp.Or(p.Pipelines, p.Config), p.Pipelines != ""
	if folder && given.Changed("config") {
		return "", Usagef("--config and --pipelines are both given: name a file, or a folder of files")
	}
	if info, err := os.Stat(path); err == nil { // else reading it tells
		switch {
		case folder && !info.IsDir():
			return "", Usagef("--pipelines %s is a file: name it with --config", path)
		case !folder && info.IsDir():
			return "", Usagef("--config %s is a folder: name it with --pipelines", path)
		}
	}
	return path, nil
}
