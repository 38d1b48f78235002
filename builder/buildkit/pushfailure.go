package buildkit

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// unpushed is a failure to push an image that was built and checked.
func (r *run) unpushed(ctx context.Context, err error) error {
	if lostConnection(err) {
		return r.lost(err)
	}
	text := r.text(err)
	f := messages.Failure{
		Class:  messages.FailureInfrastructure,
		Reason: fmt.Sprintf("pushing to %s: %s", r.build.Pipeline.Image, messages.ShortenMiddle(text, 2000)),
	}
	a := readAnswer(text, r.build.Pipeline.Image)
	if a.status == 0 && a.code != "" {
		// Of an answer with error codes BuildKit passes on the words alone. It has logged what it tried
		// again; else the registry is asked whether it would take anything.
		if a.status = r.progress.refusal(); a.status == 0 {
			a.status = r.solver.registry.takes(ctx, r.build.Pipeline.Image)
		}
		if a.status != 0 {
			f.Reason += fmt.Sprintf(" (the registry answers with status %d %s)", a.status, http.StatusText(a.status))
		}
	}
	f.Fix = a.fix()
	return failed(f)
}

var (
	// addresses are what an error names: their digits and words say nothing about it.
	addresses = regexp.MustCompile(`https?://[^\s"]+|sha256:[0-9a-f]+`)
	// statusForm is how containerd, with which BuildKit speaks to registries, tells of an answer that is no
	// yes, addresses left out. The error's type is lost on the way from buildkitd.
	statusForm = regexp.MustCompile(`unexpected status(?: code| from [A-Z]+ request to)?[: ]+([0-9]{3})\b`)
	// codeForm is an error code of an answer as containerd writes it. It knows not all codes of the OCI
	// distribution specification: the others are unknown.
	codeForm = regexp.MustCompile(`(?:^|\n|: )(unauthorized|denied|unsupported|unavailable|toomanyrequests|name unknown|name invalid|size invalid|unknown)(?:: |$)`)
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

// answered is what an error tells of a registry's answer.
type answered struct {
	status int    // 0 where it isn't told
	code   string // "" where there is none
	said   string // all of it, without names and addresses
}

func readAnswer(text, image string) answered {
	a := answered{said: addresses.ReplaceAllString(strings.ReplaceAll(text, image, ""), "")}
	if m := codeForm.FindStringSubmatch(a.said); m != nil {
		a.code = m[1]
	}
	if m := statusForm.FindStringSubmatch(a.said); m != nil {
		a.status, _ = strconv.Atoi(m[1]) // three digits
	}
	return a
}

// fix says what mends a push that failed so. The status counts before the code, which some registries
// set to "denied" for all that they refuse.
func (a answered) fix() string {
	if a.status == 0 && a.code == "" {
		return a.unansweredFix()
	}
	switch {
	case a.status == 507 || overQuota.MatchString(a.said):
		return fixRoom
	case a.status == 413 || a.code == "size invalid":
		return fixSize
	case a.status == 429 || a.code == "toomanyrequests":
		return fixRate
	case a.status >= 500:
		return fixTrouble
	case a.status == 405 || a.code == "unsupported":
		return fixReadOnly
	case a.status == 404 || a.code == "name unknown" || a.code == "name invalid":
		return fixName
	case a.status == 401 || a.status == 403 || a.status == 0 && (a.code == "unauthorized" || a.code == "denied"):
		return fixLogin
	}
	return fixTrouble
}

// unansweredFix is the fix where the registry gave no answer, or none that is told.
func (a answered) unansweredFix() string {
	switch {
	case strings.Contains(a.said, ": no such host"):
		return "correct the registry's name in the pipeline's image"
	case contains(a.said, "x509: ", "tls: ", "http: server gave HTTP response to HTTPS client"):
		return "in buildkitd.toml, name the authority (ca) of the registry's certificate, or http = true where it has none"
	case unasked.MatchString(a.said):
		return fixLogin
	case machineFull.MatchString(a.said):
		return "make room on the build machine, and look at its log"
	}
	return fixReach
}
