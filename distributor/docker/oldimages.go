package docker

import (
	"encoding/json"
	"path/filepath"
	"strings"
)

// defaultRoot is where engines keep images unless they are told otherwise.
const defaultRoot = "/var/lib/docker"

// info leaves of what an engine says of itself what is used, and adds its folder, which one before Docker 1.6 does
// not tell: its storage driver's is below it, or its own helper.
func (o *oldCall) info(said map[string]json.RawMessage) error {
	leave(said, "ID", "Driver", "DriverStatus", "DockerRootDir", "RegistryConfig", "InitPath")
	init := ""
	if raw, ok := said["InitPath"]; ok {
		_ = json.Unmarshal(raw, &init) // or it says nothing
		delete(said, "InitPath")
	}
	if _, told := said["DockerRootDir"]; told {
		return nil
	}
	var status [][2]string
	_ = json.Unmarshal(said["DriverStatus"], &status) // or it says nothing
	text, err := json.Marshal(rootOf(status, init))
	said["DockerRootDir"] = text
	return err
}

// rootOf is an engine's folder, by what its storage driver says of itself and by where its helper is.
func rootOf(status [][2]string, init string) string {
	for _, s := range status {
		switch {
		case s[0] == "Root Dir": // aufs: /var/lib/docker/aufs
			return filepath.Dir(s[1])
		case strings.HasPrefix(s[0], "Data") && strings.HasPrefix(s[1], "/") && !strings.HasPrefix(s[1], "/dev/"): // devicemapper: …/devicemapper/devicemapper/data
			return filepath.Dir(filepath.Dir(filepath.Dir(s[1])))
		}
	}
	if dir := filepath.Dir(init); filepath.Base(dir) == "init" {
		return filepath.Dir(dir)
	}
	return defaultRoot
}

// nameAsOld writes the name that an image gets as older engines know it: the repository apart from the tag, and
// without the host of Docker Hub, which engines before Docker 1.10 don't leave out by themselves.
func (o *oldCall) nameAsOld() {
	query := o.r.URL.Query()
	repository := query.Get("repo")
	if repository == "" || !o.before(apiDigests) {
		return
	}
	if at := strings.LastIndex(repository, ":"); at > strings.LastIndex(repository, "/") {
		query.Set("tag", repository[at+1:])
		repository = repository[:at]
	}
	query.Set("repo", strings.TrimPrefix(strings.TrimPrefix(repository, "docker.io/"), "library/"))
	o.r.URL.RawQuery = query.Encode()
}

// image leaves of an image what is used, and adds its names where a look at one image doesn't tell them.
func (o *oldCall) image(said map[string]json.RawMessage) error {
	leave(said, "Id", "RepoTags", "RepoDigests", "RootFS", "GraphDriver", "Comment", "Os", "Architecture")
	if !o.before(apiImageIDs) {
		return nil
	}
	var list []map[string]json.RawMessage
	if err := o.get("/images/json", &list); err != nil {
		return err
	}
	for _, i := range list {
		if string(i["Id"]) == string(said["Id"]) {
			for _, field := range []string{"RepoTags", "RepoDigests"} {
				if names, ok := i[field]; ok {
					said[field] = names
				}
			}
		}
	}
	return nil
}
