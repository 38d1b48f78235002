package buildkit

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheFixOfAFailedPush(t *testing.T) {
	const (
		login, room, trouble, reach = "give the builders a login", "make room in the registry", "look at the registry's log", "see that the registry is up"
		readOnly, size              = "end its read-only mode", "takes no layer of this size"
		name, trust                 = "correct the registry's name", "name the authority"
	)
	digest := "sha256:" + strings.Repeat("401403500502503507", 4)[:64]
	status := func(at, s string) string { return fmt.Sprintf("unexpected status from PUT request to %s: %s", at, s) }
	request := func(host, s string) string {
		return fmt.Sprintf("failed to do request: Head \"https://%s/v2/out/image/blobs/%s\": %s", host, digest, s)
	}
	for what, c := range map[string]struct{ image, text, fix string }{
		"refused on port 5000":       {"r.example:5000/out/image", request("r.example:5000", "dial tcp 192.0.2.1:5000: connect: connection refused"), reach},
		"refused on port 40101":      {"r.example:40101/out/image", request("r.example:40101", "dial tcp 192.0.2.1:40101: connect: connection refused"), reach},
		"no answer":                  {"r.example/out/image", request("r.example", "dial tcp 192.0.2.1:443: i/o timeout"), reach},
		"cut off":                    {"r.example/out/image", request("r.example", "EOF"), reach},
		"an unknown host":            {"r503.example/out/image", request("r503.example", "dial tcp: lookup r503.example: no such host"), name},
		"an unknown authority":       {"r.example/out/image", request("r.example", "tls: failed to verify certificate: x509: certificate signed by unknown authority"), trust},
		"http alone":                 {"r.example/out/image", request("r.example", "http: server gave HTTP response to HTTPS client"), trust},
		"a wrong login":              {"r.example/out/image", status("https://r.example/v2/out/image/manifests/"+digest, "401 Unauthorized"), login},
		"a login that may not":       {"r.example:5000/out/image", status("http://r.example:5000/v2/out/image/blobs/uploads/", "403 Forbidden"), login},
		"a token that is not given":  {"r.example/out/image", "server message: insufficient_scope: authorization failed", login},
		"full, on port 40101":        {"r.example:40101/out/image", status("http://r.example:40101/v2/out/image/blobs/uploads/", "507 Insufficient Storage"), room},
		"over its quota":             {"r.example/out/image", "unknown: the quota of the project is used up", room},
		"read-only":                  {"r.example/out/image", status("https://r.example/v2/out/image/blobs/uploads/", "405 Method Not Allowed"), readOnly},
		"read-only, in words":        {"r.example/out/image", "unsupported: the registry is in read-only mode", readOnly},
		"a layer that is too large":  {"r.example:41300/out/image", status("http://r.example:41300/v2/out/image/blobs/uploads/413", "413 Request Entity Too Large"), size},
		"in trouble":                 {"r.example/out/image", status("https://r.example/v2/out/image/manifests/"+digest, "500 Internal Server Error"), trouble},
		"in trouble, in other words": {"r.example/out/image", "GET https://r.example/v2/: unexpected status code 502 Bad Gateway", trouble},
		"words in the image's name":  {"r.example/quota/denied", status("https://r.example/v2/quota/denied/manifests/"+digest, "503 Service Unavailable"), trouble},
		"full, and called denied":    {"r.example/out/image", status("https://r.example/v2/out/image/blobs/uploads/", "507 Insufficient Storage") + "\ndenied: requested access to the resource is denied", room},
		"over quota, called denied":  {"r.example/out/image", status("https://r.example/v2/out/image/manifests/"+digest, "403 Forbidden") + "\ndenied: adding 1.2 GiB of storage resource, which when updated to current usage of 9 GiB will exceed the configured upper limit of 10 GiB.", room},
		"a full disk below it":       {"r.example/out/image", status("https://r.example/v2/out/image/blobs/uploads/", "500 Internal Server Error") + "\nunknown: write /var/lib/registry/x: no space left on device", room},
		"called denied in trouble":   {"r.example/out/image", status("https://r.example/v2/out/image/blobs/uploads/", "503 Service Unavailable") + "\ndenied: requested access to the resource is denied", trouble},
		"too many requests":          {"r.example/out/image", status("https://r.example/v2/out/image/blobs/uploads/", "429 Too Many Requests") + "\ntoomanyrequests: slow down, access denied", "no more requests"},
		"no such project":            {"r.example/out/image", status("https://r.example/v2/out/image/blobs/uploads/", "404 Not Found") + "\nname unknown: project out not found", "make the repository or project"},
		"no access, without status":  {"r.example/out/image", "push access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed", login},
		"a token server's login":     {"r.example/out/image", "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://auth.example/token?scope=repository%3Aout%2Fimage%3Apull: 401 Unauthorized", login},
		"a token server in trouble":  {"r.example/out/image", "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://auth.example/token: 503 Service Unavailable", trouble},
		"a host called after words":  {"unauthorized-507.example/quota/image", request("unauthorized-507.example", "dial tcp 192.0.2.1:443: connect: connection refused"), reach},
		"a status of no account":     {"r.example/out/image", status("https://r.example/v2/out/image/manifests/"+digest, "400 Bad Request"), trouble},
	} {
		t.Run(what, func(t *testing.T) {
			text := "failed to push " + c.image + ": " + c.text
			if got := pushFix(text, c.image); !strings.Contains(got, c.fix) {
				t.Errorf("%s: %s, want %s", text, got, c.fix)
			}
		})
	}
}
