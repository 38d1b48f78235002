package buildkit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/builder"
	"github.com/fenceline/fenceline/builder/dockerfile"
	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/frontend/subrequests/convertllb"
	"github.com/moby/buildkit/solver/pb"
	spb "github.com/moby/buildkit/sourcepolicy/pb"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	imageScheme = "docker-image://"
	gitScheme   = "git://"
)

// pins are the image sources of a build, resolved.
type pins struct {
	bases []messages.PinnedBase // by source, each once
	plan  *plan
}

// policy makes BuildKit use what the sources resolved to. Without it a concurrent build of
// something else could have it take what a tag named earlier.
func (p *pins) policy(more map[string]added) *spb.Policy {
	policy := &spb.Policy{Version: 1}
	for _, digest := range slices.Sorted(maps.Keys(more)) {
		policy.Rules = append(policy.Rules, more[digest].rule)
	}
	for _, b := range p.bases {
		if b.Source == withoutTag(b.Source) {
			continue // the Dockerfile gives the digest alone: there is no tag to convert
		}
		policy.Rules = append(policy.Rules, &spb.Rule{
			Action:   spb.PolicyAction_CONVERT,
			Selector: &spb.Selector{Identifier: imageScheme + b.Source, MatchType: spb.MatchType_EXACT},
			Updates:  &spb.Update{Identifier: imageScheme + b.Source + "@" + b.Image.Digest()},
		})
	}
	return policy
}

// pin resolves every image source that the build reaches.
func (r *run) pin(ctx context.Context) (*pins, error) {
	raw, broken := r.ask(ctx, subrequest(convertllb.RequestConvertLLB))
	if broken != nil {
		return nil, r.explain(ctx, broken, true)
	}
	plan, err := readPlan(raw)
	if err != nil {
		return nil, r.lost(fmt.Errorf("reading BuildKit's plan of the build: %w", err))
	}
	if err := r.mayAsk(plan); err != nil {
		return nil, err
	}
	if r.added, err = r.add(ctx, plan); err != nil {
		return nil, err
	}
	if other := plan.frontend(); other != "" {
		r.remark("warning: " + r.progress.hide(dockerfile.PassedOver(other)))
	}
	bases, err := plan.images()
	plan.fix(bases, r.build.Pipeline)
	var user *builder.FailedError
	switch {
	case errors.As(err, &user):
		return nil, err
	case err != nil:
		return nil, r.lost(err)
	}
	return &pins{bases: bases, plan: plan}, nil
}

// request makes a question to the frontend.
func (r *run) request(more map[string]string) gateway.SolveRequest {
	q := gateway.SolveRequest{Frontend: frontend, FrontendOpt: maps.Clone(r.options)}
	maps.Copy(q.FrontendOpt, more)
	return q
}

// subrequest are the options that ask the frontend about the build instead of building.
func subrequest(id string) map[string]string {
	return map[string]string{"requestid": id, "frontend.caps": "moby.buildkit.frontend.subrequests"}
}

// ask puts a question about the build to the frontend and returns the answer.
func (r *run) ask(ctx context.Context, options map[string]string) ([]byte, error) {
	var answer []byte
	var broken error
	_, err := r.call(ctx, client.SolveOpt{}, func(ctx context.Context, g gateway.Client) (*gateway.Result, error) {
		result, err := g.Solve(ctx, r.request(options))
		if err != nil {
			broken = err
			return nil, err
		}
		answer = result.Metadata["result.json"]
		return gateway.NewResult(), nil
	})
	if broken != nil {
		return nil, broken // as it is: the job's own error has less to tell
	}
	return answer, err
}

// plan is what BuildKit would do for a Dockerfile.
type plan struct {
	ops    map[string]*pb.Op         // by digest
	about  map[string]llb.OpMetadata // the same: their names above all
	source *pb.Source
}

// readPlan reads the result of the convertllb subrequest.
func readPlan(raw []byte) (*plan, error) {
	var result struct {
		Def      map[string]json.RawMessage `json:"def"`
		Metadata map[string]llb.OpMetadata  `json:"metadata"`
		Source   json.RawMessage            `json:"source"`
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return nil, err
	}
	p := &plan{ops: make(map[string]*pb.Op), about: result.Metadata, source: new(pb.Source)}
	lenient := protojson.UnmarshalOptions{DiscardUnknown: true}
	for digest, text := range result.Def {
		op := new(pb.Op)
		if err := lenient.Unmarshal(text, op); err != nil {
			return nil, fmt.Errorf("operation %s: %w", digest, err)
		}
		p.ops[digest] = op
	}
	if len(result.Source) > 0 {
		if err := lenient.Unmarshal(result.Source, p.source); err != nil {
			return nil, fmt.Errorf("the sources' places: %w", err)
		}
	}
	return p, nil
}

// images lists the image sources, sorted, each once. One tag must mean one image: BuildKit is
// told by the tag what to use.
func (p *plan) images() ([]messages.PinnedBase, error) {
	found := make(map[string]messages.PinnedBase)
	for _, op := range p.ops {
		name, ok := strings.CutPrefix(op.GetSource().GetIdentifier(), imageScheme)
		if !ok {
			continue
		}
		source, digest, _ := strings.Cut(name, "@")
		image, err := imageOf(op.GetSource())
		if err != nil {
			return nil, err
		}
		key := source
		if source == withoutTag(source) {
			key = name // the Dockerfile gives the digest alone: there is no tag to mean two
		}
		if earlier, ok := found[key]; ok && earlier.Image != image {
			return nil, twoDigests(source, earlier.Image.Digest(), digest)
		}
		found[key] = messages.PinnedBase{Source: source, Image: image}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b messages.PinnedBase) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(string(a.Image), string(b.Image)))
	}), nil
}

// imageOf is the image of an image source, resolved.
func imageOf(s *pb.SourceOp) (messages.Image, error) {
	name, ok := strings.CutPrefix(s.GetIdentifier(), imageScheme)
	if !ok {
		return "", fmt.Errorf("pinning %s: it is no image", s.GetIdentifier())
	}
	source, digest, ok := strings.Cut(name, "@")
	if !ok {
		return "", fmt.Errorf("pinning the base images: BuildKit did not resolve %s", name)
	}
	image, err := messages.NewImage(withoutTag(source), digest)
	if err != nil {
		return "", fmt.Errorf("pinning %s: %w", name, err)
	}
	return image, nil
}

func twoDigests(source, a, b string) error {
	return failed(messages.Failure{
		Class:  messages.FailureUser,
		Reason: fmt.Sprintf("the Dockerfile uses %s as two images, %s and %s", source, min(a, b), max(a, b)),
		Fix:    "give all its uses the same digest or none, or leave the tag out where a digest is given",
	})
}

// withoutTag cuts the tag off a reference.
func withoutTag(ref string) string {
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		return ref[:i]
	}
	return ref
}

// mayAsk refuses a Dockerfile that asks for a secret which its pipeline doesn't name, above
// all the one that reads the repository: a RUN step could leave it in a layer.
func (r *run) mayAsk(p *plan) error {
	for digest, op := range p.ops {
		for _, id := range secretsOf(op.GetExec()) {
			if _, ok := r.build.Secrets[id]; ok && !strings.HasPrefix(id, "GIT_AUTH_") {
				continue
			}
			place, _ := p.place(digest)
			return failed(messages.Failure{
				Class: messages.FailureUser, Place: place,
				Reason: dockerfile.NoSecret(id), Fix: dockerfile.NoSecretFix,
			})
		}
	}
	return nil
}

// secretsOf lists the secrets that a RUN step asks for.
func secretsOf(e *pb.ExecOp) []string {
	var ids []string
	for _, m := range e.GetMounts() {
		if o := m.GetSecretOpt(); o != nil && (!o.GetOptional() || strings.HasPrefix(o.GetID(), "GIT_AUTH_")) {
			ids = append(ids, o.GetID())
		}
	}
	for _, s := range e.GetSecretenv() {
		if !s.GetOptional() || strings.HasPrefix(s.GetID(), "GIT_AUTH_") {
			ids = append(ids, s.GetID())
		}
	}
	return ids
}

// place returns where in the Dockerfile an operation comes from, as FILE:LINE.
func (p *plan) place(digest string) (string, bool) {
	for _, l := range p.source.GetLocations()[digest].GetLocations() {
		if i := int(l.GetSourceIndex()); i >= 0 && i < len(p.source.GetInfos()) && len(l.GetRanges()) > 0 {
			return fmt.Sprintf("%s:%d", p.source.GetInfos()[i].GetFilename(), l.GetRanges()[0].GetStart().GetLine()), true
		}
	}
	return "", false
}

// frontend returns the frontend that the Dockerfile asks for, if it is not of the kind that
// buildkitd has built in.
func (p *plan) frontend() string {
	for _, info := range p.source.GetInfos() {
		if other, _ := dockerfile.Frontend(info.GetData()); other != "" {
			return other
		}
	}
	return ""
}
