package buildkit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/dockerfile"
	"github.com/fenceline/fenceline/messages"
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

// explain says whose a failure of the frontend or of a step is. The order matters: BuildKit's
// errors have one code for nearly everything, so each question is only good once those before
// it are answered no. planning: nothing was built yet.
func (r *run) explain(ctx context.Context, err error, planning bool) error {
	if lostConnection(err) {
		return r.lost(err)
	}
	if known := new(builder.FailedError); errors.As(err, &known) {
		return err
	}
	if g, ok := readGit(r.text(err)); ok {
		return r.explainGit(g)
	}
	settled := false
	if planning {
		// Answers to questions about a Dockerfile don't say where in it the trouble is; the same
		// trouble met while building does.
		_, again := r.ask(ctx, nil)
		if again == nil || lostConnection(again) {
			return r.lost(err)
		}
		settled = r.clean(err) == r.clean(again)
		err = again
	}
	f := messages.Failure{Class: messages.FailureUser, Reason: r.clean(err)}
	r.locate(err, &f)
	if r.explainStep(err, &f) {
		return failed(f)
	}
	base := failedBase(f.Reason)
	if planning {
		stages, asked := r.ask(ctx, subrequest(targets.SubrequestsTargetsDefinition.Name))
		if asked != nil {
			return r.explainDockerfile(asked, &f)
		}
		if base != "" {
			if m, ok := r.misspeltStage(ctx, stages); ok {
				return failed(misspelt(m, r.build.Pipeline.Dockerfile))
			}
		}
	}
	if base != "" {
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

// How BuildKit tells of failures that have no type. Names that a Dockerfile or a repository gives
// can be made of any words, so that each form begins or ends where BuildKit's own sentence does.
var (
	machineFull = regexp.MustCompile(`(?m): (no space left on device|disk quota exceeded|input/output error|too many open files|read-only file system)(: unknown)?$`)
	noKey       = regexp.MustCompile(`(^|: )no SSH key "[^"]*" forwarded from the client`)
	noUser      = regexp.MustCompile(`(^|: )unable to find (user|group) `)
	notFetched  = regexp.MustCompile(`(^|: )(digest mismatch (for \S+: |sha256:).*|invalid response status (40[0-7]|409|41[0-9]))$`)
	fetchLater  = regexp.MustCompile(`(^|: )(invalid response status [0-9]{3}$|Get "[^"]*": )`)
	noRight     = regexp.MustCompile(`(^|: )(security\.insecure|network\.host|.*device.*) is not allowed`)
)

// explainStep is about a step that failed, and says whether it is one.
func (r *run) explainStep(err error, f *messages.Failure) bool {
	var exit *gatewaypb.ExitError
	switch {
	case errors.As(err, &exit):
		r.explainRun(err, exit, f)
	case machineFull.MatchString(r.text(err)):
		f.Class, f.Fix = messages.FailureInfrastructure, "make room on the build machine, and look at its log"
	case failedOp(err).GetFile() != nil:
		f.Fix = "correct what is copied or added: paths are relative to the build context"
	case noKey.MatchString(r.text(err)):
		f.Reason, f.Fix = dockerfile.NoKey+": "+f.Reason, dockerfile.NoKeyFix
	default:
		return explainWords(f)
	}
	return true
}

// explainWords is about a step whose failure BuildKit's words tell, and says whether it is one.
func explainWords(f *messages.Failure) bool {
	switch {
	case noUser.MatchString(f.Reason):
		f.Fix = "correct USER, or make the user in an earlier step"
	case notFetched.MatchString(f.Reason):
		f.Fix = "correct the address or the checksum of what ADD fetches"
	case fetchLater.MatchString(f.Reason):
		f.Class, f.Reason = messages.FailureInfrastructure, "what the Dockerfile adds can't be fetched now: "+f.Reason
		f.Fix = "check its address and that its host is up"
	case noRight.MatchString(f.Reason):
		f.Reason, f.Fix = dockerfile.NoRight+": "+f.Reason, dockerfile.NoRightFix
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

// maxTailText bounds what is shown of a step's output, in bytes: with the excerpt it fits what a record holds of both.
const maxTailText = 4 << 10

// maxExcerpt bounds what is shown of a Dockerfile, whose steps may have any length, in bytes.
const maxExcerpt = 3 << 10

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
	if carriageReturns(err) {
		f.Reason += "; its lines end as on Windows (CRLF), and a carriage return counts as part of each of them"
		f.Fix = "give the Dockerfile Unix line ends (LF), as by sed -i 's/\\r$//', and keep them with a .gitattributes line such as: Dockerfile text eol=lf"
	}
	tail := r.progress.tail()
	if stepFull.MatchString(tail) {
		f.Class, f.Fix = messages.FailureInfrastructure, "make room on the build machine"
	}
	f.Detail = strings.TrimSpace(f.Detail + "\n" + messages.ShortenHead(tail, maxTailText))
}

// carriageReturns tells whether a step gives its program lines that end in CRLF. The parser takes the
// carriage returns out of all but here-documents.
func carriageReturns(err error) bool {
	for _, arg := range failedOp(err).GetExec().GetMeta().GetArgs() {
		if strings.Contains(arg, "\r\n") {
			return true
		}
	}
	for _, s := range errdefs.Sources(err) {
		var step []string
		for i, line := range strings.Split(string(s.Info.GetData()), "\n") {
			if slices.ContainsFunc(s.Ranges, func(at *pb.Range) bool {
				return int(at.GetStart().GetLine()) <= i+1 && i+1 <= int(at.GetEnd().GetLine())
			}) {
				step = append(step, line)
			}
		}
		if len(step) > 2 && strings.Contains(step[0], "<<") && strings.HasSuffix(step[1], "\r") {
			return true // a here-document that names its own program
		}
	}
	return false
}

// stepFull is how programs say at the end of a line that the disk is full.
var stepFull = regexp.MustCompile(`(?m): No space left on device\.?$`)

func (r *run) explainShell(f *messages.Failure) {
	f.Reason = "the base image has no shell, so that RUN can't run anything"
	f.Fix = `use a base that has /bin/sh, give RUN its command as a list ["program", "argument"], or name the shell by SHELL`
}

// shellMissing is how runc says that the program isn't there which RUN starts.
var shellMissing = regexp.MustCompile(`unable to start container process: .*exec: "[^"]*sh": (stat [^ ]+: )?(no such file|executable file not found)`)

// explainDockerfile is about a Dockerfile that can't be read.
func (r *run) explainDockerfile(err error, f *messages.Failure) error {
	if lostConnection(err) {
		return r.lost(err)
	}
	f.Reason = r.clean(err)
	switch unread, ok := strings.CutPrefix(f.Reason, "failed to read dockerfile: "); {
	case ok && strings.HasSuffix(unread, ": no such file or directory"):
		where := r.build.Pipeline.Dockerfile
		if r.build.Pipeline.Directory != "" {
			where = r.build.Pipeline.Directory + "/" + where
		}
		f.Reason = "there is no " + where
		if r.build.Commit != "" {
			f.Reason += " in commit " + r.build.Commit
		}
		f.Fix = "add it, or correct the pipeline's dockerfile and directory"
	case ok:
		f.Reason, f.Fix = fmt.Sprintf("%s can't be read: %s", r.build.Pipeline.Dockerfile, unread), "correct the pipeline's dockerfile and directory"
	case strings.HasSuffix(f.Reason, "file with no instructions"):
		f.Place, f.Fix = r.build.Pipeline.Dockerfile, "begin it with FROM"
	default:
		f.Reason = strings.TrimPrefix(f.Reason, "dockerfile parse error on ")
		f.Fix = "correct this line of the Dockerfile"
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
