package dockerfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// What is said of a Dockerfile that asks for what builds don't get. A build that fails for it says the same.
const (
	NoRight     = "the Dockerfile asks for a right that builds don't get"
	NoRightFix  = "take --security, --network=host or --device out of the Dockerfile"
	NoKey       = "the Dockerfile asks for an ssh key, which builds don't get"
	NoKeyFix    = "use an https address, and a secret that the pipeline names where one is needed"
	NoSecretFix = "name it in the pipeline's secrets and give builders a file of that name, or take it out of the Dockerfile"
)

// NoSecret says that a build has not the secret of that name.
func NoSecret(id string) string {
	return fmt.Sprintf("the Dockerfile asks for the secret %q, which the pipeline does not give it", id)
}

// PassedOver says that a frontend is not used.
func PassedOver(frontend string) string {
	return fmt.Sprintf("the Dockerfile asks for the frontend %s; it is read by the built-in one", frontend)
}

// Frontend returns the frontend that a Dockerfile asks for, if it is not of the kind that
// buildkitd has built in, and the line where it does.
func Frontend(content []byte) (frontend string, line int) {
	ref, _, at, ok := parser.DetectSyntax(content)
	if !ok {
		return "", 0
	}
	name, tag, _ := strings.Cut(strings.TrimPrefix(ref, "docker.io/"), ":")
	if name != "docker/dockerfile" || strings.Contains(tag, "labs") {
		return ref, lineIn(at)
	}
	return "", 0
}

func (f *file) frontend() {
	if other, line := Frontend(f.content); other != "" {
		f.warn(line, PassedOver(other), "take the syntax line out, and write what the built-in frontend reads")
	}
}

// refused is about what the builder refuses in any image.
func (f *file) refused(given Given) {
	for _, s := range f.stages {
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.RunCommand:
				f.rights(c)
				f.asked(c, given)
			case *instructions.AddCommand:
				for _, source := range c.SourcePaths {
					if strings.HasPrefix(source, "git@") || strings.HasPrefix(source, "ssh://") {
						f.fault(lineIn(c.Location()), NoKey+": "+source, NoKeyFix)
					}
				}
			}
		}
	}
}

func (f *file) rights(run *instructions.RunCommand) {
	line := lineIn(run.Location())
	if right := instructions.GetSecurity(run); right != instructions.SecuritySandbox {
		f.fault(line, NoRight+": --security="+right, NoRightFix)
	}
	if instructions.GetNetwork(run) == instructions.NetworkHost {
		f.fault(line, NoRight+": --network=host", NoRightFix)
	}
	for _, d := range instructions.GetDevices(run) {
		if d.Required {
			f.fault(line, NoRight+": --device="+d.Name, NoRightFix)
		}
	}
}

// asked is about the keys and secrets that a step asks for.
func (f *file) asked(run *instructions.RunCommand, given Given) {
	for _, m := range instructions.GetMounts(run) {
		switch {
		case m.Type == instructions.MountTypeSSH && m.Required:
			f.fault(lineIn(run.Location()), NoKey, NoKeyFix)
		case m.Type != instructions.MountTypeSecret, strings.Contains(secretID(m), "$"):
		case strings.HasPrefix(secretID(m), "GIT_AUTH_"), m.Required && given.Secrets != nil && !slices.Contains(given.Secrets, secretID(m)):
			f.fault(lineIn(run.Location()), NoSecret(secretID(m)), NoSecretFix)
		}
	}
}

// secretID is the name of the secret that a mount asks for.
func secretID(m *instructions.Mount) string {
	if m.CacheID != "" {
		return m.CacheID
	}
	for _, from := range []string{m.Source, m.Target} {
		if from != "" {
			return from[strings.LastIndex(from, "/")+1:]
		}
	}
	return ""
}
