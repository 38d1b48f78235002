package buildkit_test

import (
	"testing"

	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/messages"
)

func TestAMisspeltStageIsTheUsersFault(t *testing.T) {
	b := newBench(t)
	gone := buildkittest.NewRegistry(t)
	gone.Close()
	from := "FROM " + b.base
	for name, c := range map[string]struct {
		dockerfile, place string
		words             []string
	}{
		"COPY":             {from + " AS tools\n" + from + "\nCOPY --from=tolls /etc/os-release /x\n", "Dockerfile:3", []string{`"tolls": no stage has this name, did you mean tools`}},
		"RUN":              {from + " AS tools\n" + from + "\nRUN true\nRUN --mount=from=tool,target=/x true\n", "Dockerfile:4", []string{`"tool"`, "did you mean tools"}},
		"a later stage":    {from + "\nCOPY --from=tools /etc/os-release /x\n" + from + " AS tools\nRUN true\nFROM 0\nCOPY --from=tools / /y\n", "", nil},
		"without a base":   {"FROM " + gone.Host + "/stack:1 AS tools\nFROM " + gone.Host + "/stack:1\nCOPY --from=tolls /etc/motd /etc/motd2\n", "Dockerfile:3", []string{"did you mean tools"}},
		"a name with a _-": {from + " AS build_tools-1\n" + from + "\nCOPY --from=build_tool-1 /etc/os-release /x\n", "Dockerfile:3", []string{"did you mean build_tools-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := b.order(t, map[string]string{"Dockerfile": c.dockerfile})
			if c.words == nil {
				o.Pipeline.BuildArgs = nil
				f := b.fails(t, o, messages.FailureUser, "Dockerfile:2", "begins behind this line, in line 3")
				_ = f
				return
			}
			b.fails(t, o, messages.FailureUser, c.place, c.words...)
		})
	}
	t.Run("no name that is near", func(t *testing.T) {
		b.fails(t, b.order(t, map[string]string{"Dockerfile": from + " AS tools\n" + from + "\nCOPY --from=" + gone.Host + "/tolls:1 /x /x\n"}), messages.FailureInfrastructure, "Dockerfile:3", "does not answer")
	})
}
