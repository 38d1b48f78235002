package docker

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// copy reads a file of a container by POST copy, which follows links. An engine answers it as a failure where the
// file is not there.
func (o *oldCall) copy(id string) (*http.Response, error) {
	file := o.r.URL.Query().Get("path")
	only := o.r.Method == http.MethodHead
	o.r.Method, o.r.URL.RawQuery = http.MethodPost, ""
	o.to("/containers/" + id + "/copy")
	if err := o.body(map[string]string{"Resource": file}); err != nil {
		return nil, err
	}
	got, err := o.send()
	if err != nil {
		return nil, err
	}
	if got.StatusCode != http.StatusOK {
		return absent(got)
	}
	var begun bytes.Buffer
	header, err := tar.NewReader(io.TeeReader(got.Body, &begun)).Next()
	if err != nil {
		_ = got.Body.Close()
		return nil, errors.Join(errors.New("reading "+file+": the engine gave no file"), err)
	}
	stat, err := json.Marshal(container.PathStat{
		Name: path.Base(header.Name), Size: header.Size, Mode: header.FileInfo().Mode(), Mtime: header.ModTime,
	})
	if err != nil {
		return nil, errors.Join(err, got.Body.Close())
	}
	got.Header.Set("X-Docker-Container-Path-Stat", base64.StdEncoding.EncodeToString(stat))
	if only {
		_ = got.Body.Close()
		got.Body, got.ContentLength = http.NoBody, 0
		return got, nil
	}
	got.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&begun, got.Body), got.Body}
	return got, nil
}

// absent makes of a failure that says so the answer that a file is not there.
func absent(got *http.Response) (*http.Response, error) {
	text, err := io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	_ = got.Body.Close()
	if err != nil {
		return nil, err
	}
	for _, says := range []string{"Could not find the file", "no such file or directory"} {
		if strings.Contains(string(text), says) {
			got.StatusCode, got.Status = http.StatusNotFound, "404 Not Found"
		}
	}
	return with(got, map[string]string{"message": strings.TrimSpace(string(text))})
}
