package buildkit_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

func TestNoPointerOfGitLFSGetsIntoAnImage(t *testing.T) {
	b := newBench(t)
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("05", 32) + "\nsize 41000000\n"
	files := map[string]string{
		".gitattributes": "*.xz filter=lfs diff=lfs merge=lfs -text\n", "rootfs.tar.xz": pointer, "hooks/pre-running": "#!/bin/sh\n:\n",
		"data/deep/er/model.bin": pointer, "data/deep/notes.txt": strings.Repeat("version https://git-lfs.github.com/spec/v1 is what a pointer begins with\n", 3), "plain/a.txt": "a\n",
	}
	other := b.git.Repository(t, "other")
	other.Commit(t, "main", map[string]string{"big.iso": pointer, "plain/a.txt": "a\n"})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(pointer)) }))
	t.Cleanup(web.Close)
	from := "FROM " + b.base + "\n"
	for name, c := range map[string]struct {
		dockerfile, ignore string
		pointer            string // "" where the build is right
		line               string
	}{
		"ADD of an archive":             {from + "ADD rootfs.tar.xz /opt/site/\n", "", "rootfs.tar.xz", "2"},
		"COPY of a file":                {from + "COPY rootfs.tar.xz /opt/\n", "", "rootfs.tar.xz", "2"},
		"COPY of all":                   {from + "COPY . /opt/\n", "", "model.bin", "2"},
		"COPY of a folder":              {from + "RUN true\nCOPY data /opt/data\n", "", "data/deep/er/model.bin", "3"},
		"COPY by a pattern":             {from + "COPY roo*.xz /opt/\n", "", "rootfs.tar.xz", "2"},
		"COPY by a pattern of folders":  {from + "COPY da*/d??p /opt/\n", "", "model.bin", "2"},
		"COPY --link":                   {from + "COPY --link rootfs.tar.xz /opt/\n", "", "rootfs.tar.xz", "2"},
		"in another stage":              {from + "COPY data /d\n" + from + "COPY --from=0 /d/deep/notes.txt /\n", "", "model.bin", "2"},
		"for a RUN":                     {from + "RUN --mount=type=bind,target=/src cat /src/rootfs.tar.xz > /x\n", "", "model.bin", "2"},
		"for a RUN that would fail":     {from + "RUN --mount=type=bind,source=data/deep,target=/src false\n", "", "model.bin", "2"},
		"one file for a RUN":            {from + "RUN --mount=type=bind,source=rootfs.tar.xz,target=/r cp /r /x\n", "", "rootfs.tar.xz", "2"},
		"ADD of a repository":           {from + "ADD " + other.URL + "#main /other\n", "", "big.iso", "2"},
		"ADD of a download":             {from + "ADD " + web.URL + "/raw/rootfs.tar.xz /x/\n", "", "rootfs.tar.xz", "2"},
		"another folder is copied":      {from + "COPY plain /opt/\nCOPY data/deep/notes.txt /opt/\n", "", "", ""},
		"it is excluded":                {from + "COPY --exclude=deep/er data /opt/\n", "", "", ""},
		"it is ignored":                 {from + "COPY . /opt/\nRUN --mount=type=bind,target=/src true\n", "*.xz\n**/*.bin\n", "", ""},
		"some are ignored":              {from + "COPY . /opt/\n", "*.xz\n", "model.bin", "2"},
		"ignored others, none is taken": {from + "COPY plain /opt/\n", "hooks\n", "", ""},
		"another folder of a repository": {from + "ADD " + other.URL + "#main:plain /other\n",
			"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tree := maps.Clone(files)
			tree["Dockerfile"] = c.dockerfile
			if c.ignore != "" {
				tree[".dockerignore"] = c.ignore
			}
			repo := b.git.Repository(t, strings.ReplaceAll(name, " ", "-"))
			pushed, uploaded := b.order(t, nil), b.order(t, nil)
			pushed.Pipeline.Repository, pushed.Commit = repo.URL, repo.Commit(t, "main", tree)
			uploaded.Context = write(t, tree)
			for way, o := range map[string]*order{"pushed": pushed, "uploaded": uploaded} {
				if c.pointer == "" {
					if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
						t.Errorf("%s: %v", way, err)
					}
					continue
				}
				b.fails(t, o, messages.FailureUser, "Dockerfile:"+c.line, c.pointer, "Git LFS")
			}
		})
	}
}
