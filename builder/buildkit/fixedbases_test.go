package buildkit

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/solver/pb"
)

func TestADigestFixesTheBaseThatItStandsAt(t *testing.T) {
	const debian, tools = "docker.io/library/debian:12", "r.example:5000/tools:1"
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	for about, c := range map[string]struct {
		text string
		args map[string]string
		want []string // the sources that are fixed
	}{
		"none":                            {"FROM debian:12\nCOPY --from=" + tools + " / /\n", nil, nil},
		"a FROM's own":                    {"FROM debian:12@" + one + "\nCOPY --from=" + tools + " / /\n", nil, []string{debian}},
		"a COPY's own":                    {"FROM debian:12\nCOPY --from=" + tools + "@" + two + " / /\n", nil, []string{tools}},
		"a mount's own":                   {"FROM debian:12\nRUN --mount=from=" + tools + "@" + two + ",target=/t true\n", nil, []string{tools}},
		"in a comment":                    {"# debian:12@" + one + "\nFROM debian:12\nCOPY --from=" + tools + " / /\n", nil, nil},
		"in a step":                       {"FROM debian:12\nRUN echo debian:12@" + one + "\nCOPY --from=" + tools + " / /\nLABEL base=" + two + "\n", nil, nil},
		"in a step's here-document":       {"FROM debian:12\nRUN <<EOF\nFROM debian:12@" + one + "\nEOF\nCOPY --from=" + tools + " / /\n", nil, nil},
		"of another image":                {"FROM debian:12\nCOPY --from=" + tools + "@" + one + " / /\n", nil, nil},
		"in another line without the tag": {"FROM debian@" + one + " AS a\nFROM debian:12\nCOPY --from=a / /\nCOPY --from=" + tools + " / /\n", nil, nil},
		"at one of two uses":              {"FROM debian:12@" + one + " AS a\nFROM debian:12\nCOPY --from=a / /\n", nil, nil},
		"of a stage that is not built":    {"FROM debian:12@" + one + " AS a\nFROM debian:12\nRUN true\n", nil, nil},
		"by an argument's default":        {"ARG BASE=debian:12@" + one + "\nFROM ${BASE}\n", nil, []string{debian}},
		"by an argument that is not used": {"ARG BASE=debian:12@" + one + "\nFROM debian:12\n", nil, nil},
		"by a build argument":             {"ARG BASE\nARG D\nFROM ${BASE}\nCOPY --from=" + tools + " / /\n", map[string]string{"BASE": "debian:12@" + one, "D": two}, []string{debian}},
		"a build argument in its place":   {"ARG D=" + one + "\nFROM debian:12@$D\n", map[string]string{"D": one}, []string{debian}},
		"by an argument that is replaced": {"ARG BASE=debian:12@" + one + "\nFROM ${BASE}\n", map[string]string{"BASE": "debian:12"}, nil},
		"written in full":                 {"FROM docker.io/library/debian:12@" + one + "\n", nil, []string{debian}},
	} {
		p := &plan{source: &pb.Source{Infos: []*pb.SourceInfo{{Filename: "Dockerfile", Data: []byte(c.text)}}}}
		bases := []messages.PinnedBase{
			{Source: debian, Image: messages.Image("docker.io/library/debian@" + one)},
			{Source: tools, Image: messages.Image("r.example:5000/tools@" + two)},
		}
		p.fix(bases, &messages.Pipeline{BuildArgs: c.args})
		var fixed []string
		for _, b := range bases {
			if b.Fixed {
				fixed = append(fixed, b.Source)
			}
		}
		if strings.Join(fixed, " ") != strings.Join(c.want, " ") {
			t.Errorf("a digest %s: fixed %q, want %q", about, fixed, c.want)
		}
	}
}
