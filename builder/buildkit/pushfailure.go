package buildkit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// unpushed is a failure to push an image that was built and checked.
func (r *run) unpushed(err error) error {
	if lostConnection(err) {
		return r.lost(err)
	}
	text := r.text(err)
	f := messages.Failure{
		Class:  messages.FailureInfrastructure,
		Reason: fmt.Sprintf("pushing to %s: %s", r.build.Pipeline.Image, messages.Shorten(text, 2000)),
		Fix:    pushFix(text, r.build.Pipeline.Image),
	}
	if machineFull.MatchString(text) && !refused.MatchString(text) {
		f.Fix = "make room on the build machine, and look at its log"
	}
	return failed(f)
}

var (
	// addresses are what an error names: their digits and words say nothing about it.
	addresses = regexp.MustCompile(`https?://[^\s"]+|sha256:[0-9a-f]+`)
	// refused is how containerd, with which BuildKit speaks to registries, tells of a registry's answer. The
	// error's type is lost on the way from buildkitd. Behind it, on lines of their own, are the
	// registry's error codes in small letters, with what it says to each.
	refused = regexp.MustCompile(`unexpected status(?: code| from [A-Z]+ request to)?[: ]`)
	// statusForm is the status in it, addresses left out.
	statusForm = regexp.MustCompile(`unexpected status(?: code| from [A-Z]+ request to)?[: ]+([0-9]{3})\b`)
	// codeForm is an error code of the OCI distribution specification.
	codeForm = regexp.MustCompile(`(?:^|\n|: )(unauthorized|denied|name unknown|name invalid|toomanyrequests|size invalid|unsupported): `)
	// unasked is a push for which the registry, or its token server, wants another login.
	unasked = regexp.MustCompile(`push access denied, repository does not exist or may require authorization|insufficient_scope|: authorization failed$|no basic auth credentials`)
	// overQuota is how registries word that a project's room is used up, for which there is no code.
	overQuota = regexp.MustCompile(`\bquota\b|will exceed the configured upper limit|no space left on device`)
)

const (
	fixLogin    = "give the builders a login that may push there, in the config.json that their docker-config names"
	fixRoom     = "make room in the registry"
	fixReach    = "see that the registry is up and that builders can reach it"
	fixTrouble  = "look at the registry's log and its disk"
	fixReadOnly = "the registry takes no pushes now: end its read-only mode, or name another in the pipeline's image"
	fixSize     = "the registry, or a proxy in front of it, takes no layer of this size: raise its limit, such as nginx's client_max_body_size, or make the layer smaller"
	fixName     = "make the repository or project in the registry, or correct the pipeline's image"
	fixRate     = "the registry takes no more requests for now: raise its limit for the builders' login"
)

// pushFix says what mends a push to image that failed with text.
func pushFix(text, image string) string {
	said := addresses.ReplaceAllString(strings.ReplaceAll(text, image, ""), "")
	code := ""
	if m := codeForm.FindStringSubmatch(said); m != nil {
		code = m[1]
	}
	if m := statusForm.FindStringSubmatch(said); m != nil {
		status, _ := strconv.Atoi(m[1]) // three digits
		return refusalFix(status, code, said)
	}
	switch {
	case strings.Contains(said, ": no such host"):
		return "correct the registry's name in the pipeline's image"
	case contains(said, "x509: ", "tls: ", "http: server gave HTTP response to HTTPS client"):
		return "in buildkitd.toml, name the authority (ca) of the registry's certificate, or http = true where it has none"
	case unasked.MatchString(said):
		return fixLogin
	case contains(said, ": connect: ", ": i/o timeout", ": EOF", "connection reset by peer"):
		return fixReach
	}
	return refusalFix(0, code, said)
}

// refusalFix says what mends that a registry answered with a status, an error code and words. The
// status counts before the code, which some registries set to "denied" for all they refuse.
func refusalFix(status int, code, said string) string {
	switch {
	case status == 507 || overQuota.MatchString(said):
		return fixRoom
	case status == 413 || code == "size invalid":
		return fixSize
	case status == 429 || code == "toomanyrequests":
		return fixRate
	case status >= 500:
		return fixTrouble
	case status == 405 || code == "unsupported":
		return fixReadOnly
	case status == 404 || code == "name unknown" || code == "name invalid":
		return fixName
	case status == 401 || status == 403 || status == 0 && (code == "unauthorized" || code == "denied"):
		return fixLogin
	case status != 0:
		return fixTrouble
	}
	return fixReach
}
