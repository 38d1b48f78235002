package dockerfile

import (
	"fmt"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		given Given
		want  string // LINE error|warning WORDS of the one finding; "" for none
	}{
		"all well":                         {"ARG BASE\nFROM ${BASE} AS a\nRUN apt-get update && apt-get -y install x\nFROM ${BASE}\nCOPY --from=a /x /y\nUSER 1000:root\n", Given{}, ""},
		"insecure":                         {"FROM x\nRUN --security=insecure true\n", Given{}, "2 error " + NoRight + ": --security=insecure"},
		"the host's network":               {"FROM x\nRUN --network=host true\n", Given{}, "2 error --network=host"},
		"no network":                       {"FROM x\nRUN --network=none true\n", Given{}, ""},
		"a device":                         {"FROM x\nRUN --device=vendor.com/gpu,required true\n", Given{}, "2 error --device"},
		"an ssh key":                       {"FROM x\nRUN --mount=type=ssh,required=true true\n", Given{}, "2 error " + NoKey},
		"an ssh key that may be missing":   {"FROM x\nRUN --mount=type=ssh true\n", Given{}, ""},
		"a repository by ssh":              {"FROM x\nADD git@git.example.com:ops/x.git /x\n", Given{}, "2 error " + NoKey},
		"a secret that is given":           {"FROM x\nRUN --mount=type=secret,id=a,required=true true\n", Given{Secrets: []string{"a"}}, ""},
		"a secret that is not given":       {"FROM x\nRUN --mount=type=secret,id=b,required=true true\n", Given{Secrets: []string{"a"}}, `2 error ` + NoSecret("b")},
		"a secret of unknown pipelines":    {"FROM x\nRUN --mount=type=secret,id=b,required=true true\n", Given{}, ""},
		"the repository's token":           {"FROM x\nRUN --mount=type=secret,id=GIT_AUTH_TOKEN true\n", Given{}, `2 error "GIT_AUTH_TOKEN"`},
		"another frontend":                 {"# syntax=example.com/other:1\nFROM x\n", Given{}, "1 warning example.com/other:1"},
		"the built-in frontend":            {"# syntax=docker/dockerfile:1\nFROM x\n", Given{}, ""},
		"a stage with a typo":              {"FROM x AS tools\nFROM x\nCOPY --from=tolls /a /b\n", Given{}, "3 error no stage has this name, did you mean tools"},
		"in a mount":                       {"FROM x AS tools\nFROM x\nRUN --mount=from=tolls,target=/a true\n", Given{}, "3 error did you mean tools"},
		"as a base":                        {"FROM x AS tools\nFROM tolls\n", Given{}, "2 warning did you mean tools"},
		"a base that is near to a stage":   {"FROM composer:2 AS app\nFROM php\n", Given{}, "2 warning did you mean app"},
		"a base called like a later stage": {"FROM php\nRUN true\nFROM x AS php\n", Given{}, "1 warning begins behind this line, in line 3"},
		"a stage called like its base":     {"FROM golang AS golang\nFROM x\nCOPY --from=golang /a /b\n", Given{}, ""},
		"a stage that copies from itself":  {"FROM x AS tools\nCOPY --from=tools /a /b\n", Given{}, "2 error circular"},
		"an image of another name":         {"FROM x AS tools\nFROM x\nCOPY --from=nginx /a /b\n", Given{}, ""},
		"a stage by number":                {"FROM x\nFROM x\nCOPY --from=0 /a /b\n", Given{}, ""},
		"a stage by a number that is none": {"FROM x\nFROM x\nCOPY --from=7 /a /b\n", Given{}, "3 error invalid stage index 7"},
		"a stage that comes later":         {"FROM x\nCOPY --from=tools /a /b\nFROM x AS tools\nCOPY /a /b\n", Given{}, "2 error begins behind this line, in line 3"},
		"a user nobody makes":              {"FROM x\nUSER app\n", Given{}, "2 warning user app"},
		"a group nobody makes":             {"FROM x\nUSER 0:app\n", Given{}, "2 warning group app"},
		"a user that is made":              {"FROM x AS a\nRUN useradd app\nFROM a\nUSER app\n", Given{}, ""},
		"a user over scratch":              {"FROM scratch\nUSER app\n", Given{}, "2 error no user app"},
		"a user over scratch with files":   {"FROM scratch\nCOPY etc /etc\nUSER app\n", Given{}, "3 warning user app"},
		"Windows lines in a document":      {"FROM x\r\nRUN <<A\r\ntrue\r\nA\r\n", Given{}, "2 error Windows line ends"},
		"Windows lines behind a list":      {"FROM x\r\nRUN true && \\\r\n  cat <<A\r\ntrue\r\nA\r\n", Given{}, "2 error Windows line ends"},
		"Windows lines in a later one":     {"FROM x\nCOPY <<A <<B /x/\na\nA\nb\r\nB\n", Given{}, "2 error Windows line ends"},
		"Windows lines and a here-string":  {"FROM x\r\nRUN cat <<<word\r\n", Given{}, ""},
		"Windows lines and an empty one":   {"FROM x\r\nCOPY <<A /x\r\nA\r\n", Given{}, ""},
		"Windows lines elsewhere":          {"FROM x\r\nRUN true \\\r\n  && true\r\n", Given{}, ""},
		"an unknown instruction":           {"FROM x\nRUNN true\n", Given{}, "2 error unknown instruction: RUNN"},
		"no stage":                         {"ARG A\n", Given{}, "0 error no stages"},
		"an empty file":                    {"", Given{}, "0 error file with no instructions"},
		"an unknown option":                {"FROM x\nCOPY --frm=a /a /b\n", Given{}, "2 error unknown flag: --frm"},
		"a document without end":           {"FROM x\nRUN <<A\ntrue\n", Given{}, "2 error unterminated heredoc"},
		"an argument without a value":      {"ARG TAG\nFROM debian:${TAG}\n", Given{}, ""},
		"apt-get without -y":               {"FROM x\nRUN apt-get update && \\\n    # why\n    apt-get install curl\n", Given{}, "4 error apt-get install"},
		"as a list":                        {"FROM x\nRUN [\"apt-get\", \"install\", \"curl\"]\n", Given{}, "2 error apt-get install"},
		"in a document":                    {"FROM x\nRUN <<EOF\ntrue\nyum install x\nEOF\n", Given{}, "4 error yum install"},
		"in a document for bash":           {"FROM x\nRUN <<EOF bash -e\ntrue\nEOF\nRUN bash <<EOF\napt-get install x\nEOF\n", Given{}, ""},
		"in a document for another":        {"FROM x\nRUN <<EOF\n#!/usr/bin/env python3\napt-get install\nEOF\n", Given{}, ""},
		"behind an option of RUN":          {"FROM x\nRUN --mount=type=cache,target=/a \\\n  apt-get upgrade\n", Given{}, "3 error apt-get upgrade"},
		"dpkg-reconfigure":                 {"FROM x\nRUN dpkg-reconfigure tzdata\n", Given{}, "2 error dpkg-reconfigure"},
		"dpkg-reconfigure, told":           {"FROM x\nENV DEBIAN_FRONTEND=noninteractive\nRUN dpkg-reconfigure tzdata\n", Given{}, ""},
		"answered by a setting before":     {"FROM x AS a\nRUN echo 'APT::Get::Assume-Yes \"true\";' >/etc/apt/apt.conf.d/90\nRUN apt-get install x\nFROM a\nRUN [\"apt-get\", \"install\", \"x\"]\n", Given{}, ""},
		"answered by a file":               {"FROM x\nCOPY 90 /etc/apt/apt.conf.d/\nRUN apt-get install x\n", Given{}, ""},
		"answered in another stage":        {"FROM x AS a\nRUN echo 'APT::Get::Assume-Yes \"true\";' >/etc/apt/apt.conf\nFROM x\nRUN apt-get install x\n", Given{}, "4 error apt-get install"},
		"answered for one command":         {"FROM x\nRUN apt-get -o APT::Get::Assume-Yes=true install x\nRUN apt-get install x\n", Given{}, "3 error apt-get install"},
		"a list of groups":                 {"FROM x\nRUN dnf group list && dnf search update\n", Given{}, ""},
		"a group":                          {"FROM x\nRUN dnf group install x\n", Given{}, "2 error dnf install"},
		"another shell":                    {"FROM x\nSHELL [\"powershell\", \"-c\"]\nRUN apt-get install x\n", Given{}, ""},
		"reading an answer":                {"FROM x\nRUN read -p 'really? ' answer\n", Given{}, "2 warning terminal"},
	} {
		t.Run(name, func(t *testing.T) {
			found := Check("Dockerfile", []byte(c.text), c.given)
			if c.want == "" {
				if len(found) != 0 {
					t.Errorf("findings %v", found)
				}
				return
			}
			if len(found) != 1 {
				t.Fatalf("findings %v, want one with %q", found, c.want)
			}
			f := found[0]
			kind := "error"
			if f.Warning {
				kind = "warning"
			}
			words := strings.SplitN(c.want, " ", 3)
			if got := fmt.Sprint(f.Line, " ", kind); got != words[0]+" "+words[1] || !strings.Contains(f.Problem, words[2]) || f.Fix == "" || f.File != "Dockerfile" {
				t.Errorf("%s: %+v, want %q", got, f, c.want)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("FROM x AS a\nRUN <<EOF\napt-get install x\nEOF\nUSER b:c\nCOPY --from=b /a /b\n")
	f.Add("# syntax=x\nARG A\nFROM --platform=$A ${A}:1\nRUN --mount=type=secret,id=x --network=host [\"a\"]\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, found := range Check("Dockerfile", []byte(text), Given{}) {
			if found.Line < 0 || found.Problem == "" || found.Fix == "" {
				t.Errorf("finding %+v", found)
			}
		}
	})
}
