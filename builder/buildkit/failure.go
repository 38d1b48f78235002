package buildkit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/frontend/subrequests/targets"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"
)

func failed(f messages.Failure) error { return &builder.FailedError{Failure: f} }

// refused is an error of the build's own Check. One that is a failure to read the image is
// for another attempt.
func (r *run) refused(err error) error {
	if lostConnection(err) {
		return r.lost(err)
	}
	return err
}

// lost is a failure that may not happen the next time or elsewhere.
func (r *run) lost(err error) error {
	f := messages.Failure{Class: messages.FailureInfrastructure, Reason: r.clean(err), Fix: "look at the log of buildkitd if this goes on"}
	if lostConnection(err) {
		f.Reason = fmt.Sprintf("buildkitd at %s went away: %s", r.solver.config.Address, r.clean(err))
		f.Fix = "see that it runs"
	}
	return failed(f)
}

// lostConnection tells whether BuildKit did not answer, rather than that it said no.
func lostConnection(err error) bool {
	switch grpcerrors.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return false
}

// unpushed is a failure to push an image that was built and checked.
func (r *run) unpushed(err error) error {
	if lostConnection(err) {
		return r.lost(err)
	}
	text := r.clean(err)
	return failed(messages.Failure{
		Class:  messages.FailureInfrastructure,
		Reason: fmt.Sprintf("pushing to %s: %s", r.build.Pipeline.Image, text), Fix: pushFix(text, r.build.Pipeline.Image),
	})
}

var (
	// addresses are what an error names: their digits and words say nothing about it.
	addresses = regexp.MustCompile(`https?://[^\s"]+|sha256:[0-9a-f]+`)
	// statusForm is how containerd and go-containerregistry tell a status, addresses left out.
	statusForm = regexp.MustCompile(`status[^0-9]{0,40}([0-9]{3})\b`)
)

// pushFix says what mends a push to image that failed with text.
func pushFix(text, image string) string {
	said := strings.ToLower(addresses.ReplaceAllString(strings.ReplaceAll(text, image, ""), ""))
	status := ""
	if m := statusForm.FindStringSubmatch(said); m != nil {
		status = m[1]
	}
	const unreached = "see that the registry is up and that builders can reach it"
	switch {
	case contains(said, "no such host"):
		return "correct the registry's name in the pipeline's image"
	case contains(said, "x509", "tls:", "http response to https client"):
		return "in buildkitd.toml, name the authority (ca) of the registry's certificate, or http = true where it has none"
	case contains(said, "connection refused", "connection reset", "i/o timeout", "no route to host", "network is unreachable"):
		return unreached
	case contains(status, "401", "403") || contains(said, "unauthorized", "denied", "authorization failed"):
		return "give the builders a login that may push there, in the config.json that their docker-config names"
	case status == "405" || contains(said, "read-only", "read only", "readonly"):
		return "the registry takes no pushes now: end its read-only mode, or name another in the pipeline's image"
	case status == "413" || contains(said, "entity too large", "size_invalid"):
		return "the registry, or a proxy in front of it, takes no layer of this size: raise its limit, such as nginx's client_max_body_size, or make the layer smaller"
	case status == "507" || contains(said, "no space", "insufficient storage", "quota"):
		return "make room in the registry"
	case contains(status, "500", "502", "503"):
		return "look at the registry's log and its disk"
	}
	return unreached
}

// explain says whose a failure of the frontend or of a step is. The order matters: BuildKit's
// errors have one code for nearly everything, so each question is only good once those before
// it are answered no. planning: nothing was built yet.
func (r *run) explain(ctx context.Context, err error, planning bool) error {
	if lostConnection(err) {
		return r.lost(err)
	}
	settled := false
	if planning {
		// Answers to questions about a Dockerfile don't say where in it the trouble is; the same
		// trouble met while building does.
		again := r.fails(ctx, gateway.SolveRequest{Frontend: frontend, FrontendOpt: maps.Clone(r.options)})
		if again == nil || lostConnection(again) {
			return r.lost(err)
		}
		settled = r.clean(err) == r.clean(again)
		err = again
	}
	f := messages.Failure{Class: messages.FailureUser, Reason: r.clean(err)}
	r.locate(err, &f)
	op := failedOp(err)
	var exit *gatewaypb.ExitError
	switch {
	case errors.As(err, &exit):
		r.explainRun(err, exit, &f)
		return failed(f)
	case contains(f.Reason, "no space left on device", "input/output error", "too many open files", "read-only file system"):
		f.Class, f.Fix = messages.FailureInfrastructure, "make room on the build machine, and look at its log"
		return failed(f)
	case op.GetFile() != nil:
		f.Fix = "correct what is copied or added: paths are relative to the build context"
		return failed(f)
	case contains(f.Reason, "no SSH key"):
		f.Reason = "the Dockerfile asks for an ssh key, which builds don't get: " + f.Reason
		f.Fix = "use an https address, and a secret that the pipeline names where one is needed"
		return failed(f)
	case !planning && (strings.HasPrefix(op.GetSource().GetIdentifier(), gitScheme) || gitTrouble(f.Reason)):
		return r.explainAdded(&f) // the pipeline's own was read while planning
	case strings.HasPrefix(op.GetSource().GetIdentifier(), gitScheme) || gitTrouble(f.Reason):
		return r.explainGit(&f)
	case explainStep(&f):
		return failed(f)
	}
	if planning {
		if asked := r.fails(ctx, r.subrequest(targets.SubrequestsTargetsDefinition.Name)); asked != nil {
			return r.explainDockerfile(asked, &f)
		}
	}
	if base := failedBase(f.Reason); base != "" {
		return r.explainBase(ctx, base, &f)
	}
	if planning && (f.Place != "" || settled) {
		// Neither the repository nor a base image: what is left is what the Dockerfile says.
		f.Fix = "correct this in the Dockerfile"
		return failed(f)
	}
	f.Class, f.Fix = messages.FailureInfrastructure, "look at the log of buildkitd if this goes on"
	return failed(f)
}

// explainStep is about a step whose failure BuildKit's words tell, and says whether it is one.
func explainStep(f *messages.Failure) bool {
	switch {
	case contains(f.Reason, "unable to find user", "unable to find group"):
		f.Fix = "correct USER, or make the user in an earlier step"
	case contains(f.Reason, "digest mismatch", "invalid response status 40", "invalid response status 41"):
		f.Fix = "correct the address or the checksum of what ADD fetches"
	case strings.Contains(f.Reason, "is not allowed") && contains(f.Reason, "security.insecure", "network.host", "device"):
		f.Reason = "the Dockerfile asks for a right that builds don't get: " + f.Reason
		f.Fix = "take --security, --network=host or --device out of the Dockerfile"
	default:
		return false
	}
	return true
}

// failedOp is the operation that failed, if one did.
func failedOp(err error) *pb.Op {
	var s *errdefs.SolveError
	if errors.As(err, &s) {
		return s.Solve.GetOp()
	}
	return nil
}

// maxExcerpt bounds what is shown of a Dockerfile, whose steps may have any length, in bytes.
const maxExcerpt = 8 << 10

// locate notes the place in the Dockerfile, and the lines around it.
func (r *run) locate(err error, f *messages.Failure) {
	for _, s := range errdefs.Sources(err) {
		var b strings.Builder
		if s.Info == nil || len(s.Ranges) == 0 || s.Print(&b) != nil {
			continue
		}
		f.Place = fmt.Sprintf("%s:%d", s.Info.Filename, s.Ranges[0].GetStart().GetLine())
		_, excerpt, _ := strings.Cut(b.String(), "\n")
		f.Detail = messages.Shorten(r.progress.hide(strings.TrimRight(excerpt, "\n")), maxExcerpt)
		return
	}
}

func (r *run) explainRun(err error, exit *gatewaypb.ExitError, f *messages.Failure) {
	if shellMissing.MatchString(f.Reason + r.progress.tail()) {
		r.explainShell(f)
		return
	}
	f.Reason = fmt.Sprintf("a RUN step ended with exit status %d", exit.ExitCode)
	if e := failedOp(err).GetExec().GetMeta(); e != nil && len(e.Args) > 0 {
		command := messages.Shorten(strings.Join(strings.Fields(r.progress.hide(e.Args[len(e.Args)-1])), " "), 200)
		f.Reason = fmt.Sprintf("RUN %s: exit status %d", command, exit.ExitCode)
	}
	f.Fix = "correct the command: its last output is shown"
	tail := r.progress.tail()
	if strings.Contains(tail, "No space left on device") {
		f.Class, f.Fix = messages.FailureInfrastructure, "make room on the build machine"
	}
	f.Detail = strings.TrimSpace(f.Detail + "\n" + tail)
}

func (r *run) explainShell(f *messages.Failure) {
	f.Reason = "the base image has no shell, so that RUN can't run anything"
	f.Fix = `use a base that has /bin/sh, give RUN its command as a list ["program", "argument"], or name the shell by SHELL`
}

// shellMissing is how runc says that the program isn't there which RUN starts.
var shellMissing = regexp.MustCompile(`unable to start container process: .*exec: "[^"]*sh": (stat [^ ]+: )?(no such file|executable file not found)`)

// gitTrouble tells whether git failed, which BuildKit says in words only.
func gitTrouble(text string) bool {
	return contains(text, "failed to fetch remote", "git ls-remote", "error fetching default branch", "failed to load cache key: repository", "repository does not contain ref")
}

// explainGit is about the repository. What can't be reached now is for another attempt.
func (r *run) explainGit(f *messages.Failure) error {
	f.Place, f.Detail = "", ""
	switch text := f.Reason; {
	case contains(text, "not our ref", "does not contain ref", "couldn't find remote ref", "reference is not a tree", "did not match any file", "unable to find"):
		f.Reason = fmt.Sprintf("the repository no longer has the commit %s", r.build.Commit)
		f.Fix = "push it again, or ask for a commit that is there"
	case contains(text, "subdir", "no such file or directory"):
		f.Reason = fmt.Sprintf("the commit %s has no folder %q", r.build.Commit, r.build.Pipeline.Directory)
		f.Fix = "correct the pipeline's directory"
	case contains(text, "Authentication failed", "could not read Username", "could not read Password", "error: 401", "error: 403"):
		f.Reason = "the repository wants a credential, or refuses the one it was given: " + text
		f.Fix = "name a token that may read it in the pipeline's repository_token"
	case contains(text, "' not found", "Repository not found", "error: 404", "does not appear to be a git repository"):
		f.Reason = "there is no such repository: " + text
		f.Fix = "correct the pipeline's repository"
	default:
		f.Class, f.Reason = messages.FailureInfrastructure, "the repository can't be read: "+text
		f.Fix = "check the address and that its host is up"
	}
	return failed(*f)
}

// explainAdded is about a repository that the Dockerfile adds. What can't be reached now is for
// another attempt.
func (r *run) explainAdded(f *messages.Failure) error {
	if contains(f.Reason, "does not contain ref", "couldn't find remote ref", "not our ref", "did not match any file", "' not found", "error: 404",
		"Authentication failed", "could not read Username", "error: 401", "error: 403") {
		f.Reason = "a repository that the Dockerfile adds can't be read: " + f.Reason
		f.Fix = "correct its address and what is asked of it in the Dockerfile"
		return failed(*f)
	}
	f.Class, f.Reason = messages.FailureInfrastructure, "a repository that the Dockerfile adds can't be read now: "+f.Reason
	f.Fix = "check the address and that its host is up"
	return failed(*f)
}

// fails puts a question to BuildKit and returns the error, if that is the answer.
func (r *run) fails(ctx context.Context, q gateway.SolveRequest) error {
	var broken error
	_, err := r.call(ctx, client.SolveOpt{}, func(ctx context.Context, g gateway.Client) (*gateway.Result, error) {
		_, broken = g.Solve(ctx, q)
		return gateway.NewResult(), nil
	})
	if broken == nil {
		return err
	}
	return broken
}

// explainDockerfile is about a Dockerfile that can't be read.
func (r *run) explainDockerfile(err error, f *messages.Failure) error {
	if lostConnection(err) {
		return r.lost(err)
	}
	f.Reason = r.clean(err)
	switch {
	case contains(f.Reason, "failed to read dockerfile", "no such file or directory"):
		where := r.build.Pipeline.Dockerfile
		if r.build.Pipeline.Directory != "" {
			where = r.build.Pipeline.Directory + "/" + where
		}
		f.Reason = "there is no " + where
		if r.build.Commit != "" {
			f.Reason += " in commit " + r.build.Commit
		}
		f.Fix = "add it, or correct the pipeline's dockerfile and directory"
	case contains(f.Reason, "file with no instructions"):
		f.Place, f.Fix = r.build.Pipeline.Dockerfile, "begin it with FROM"
	default:
		f.Reason = strings.TrimPrefix(f.Reason, "dockerfile parse error on ")
		f.Fix = "correct this line of the Dockerfile"
	}
	return failed(*f)
}

var baseForms = []*regexp.Regexp{
	regexp.MustCompile(`failed to resolve source metadata for ([^\s]+):`),
	regexp.MustCompile(`failed to copy: .*for (?:image )?([^\s"]+@sha256:[0-9a-f]{64})`),
	regexp.MustCompile(`failed to load cache key: ([^\s]+@sha256:[0-9a-f]{64})`),
}

// failedBase is the image that a failure is about.
func failedBase(text string) string {
	for _, form := range baseForms {
		if m := form.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	return ""
}

// explainBase asks the registry about a base image that could not be used.
func (r *run) explainBase(ctx context.Context, base string, f *messages.Failure) error {
	switch said, err := r.solver.registry.ask(ctx, base); said {
	case absent:
		f.Reason = fmt.Sprintf("there is no image %s", base)
		f.Fix = "correct the name or the tag, or push the base image first"
	case denied:
		f.Reason = fmt.Sprintf("there is no image %s, or this builder may not read it", base)
		f.Fix = "correct the name, or give the builders a login for its registry"
	case silent:
		f.Class, f.Reason = messages.FailureInfrastructure, fmt.Sprintf("the registry of the base image %s does not answer: %s", base, r.clean(err))
		f.Fix = "see that the registry is up and that builders can reach it"
	default:
		if contains(f.Reason, "no match for platform") {
			f.Reason = fmt.Sprintf("the base image %s is not there for the platform that is built: %s", base, f.Reason)
			f.Fix = "use a base for this platform, or correct the pipeline's platform"
			break
		}
		f.Class, f.Reason = messages.FailureInfrastructure, fmt.Sprintf("reading the base image %s failed, which its registry has: %s", base, f.Reason)
		f.Fix = "look at the log of buildkitd if this goes on"
	}
	return failed(*f)
}

func contains(text string, any ...string) bool {
	for _, s := range any {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}
