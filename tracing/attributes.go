package tracing

import (
	"regexp"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"

	"github.com/fenceline/fenceline/messages"
)

// Names are those of OpenTelemetry's semantic conventions where these have one, and begin with fenceline
// where not.

// maxText bounds the text of one attribute, in bytes.
const maxText = 500

// userInfo is the user's part of a URL, wherever one stands in a text. A password may have an @ that nobody encoded.
var userInfo = regexp.MustCompile(`://[^/\s"']*@`)

// safe is a text without the credentials that URLs in it may have, and bounded. What else is secret was taken out
// by whoever had it.
func safe(text string) string {
	return messages.ShortenMiddle(userInfo.ReplaceAllString(text, "://"), maxText)
}

// Text says a text of outside, Count a number, and Truth whether something is so. Names begin with fenceline.
func Text(name, value string) Attribute { return attribute.String("fenceline."+name, safe(value)) }

// Count says a number.
func Count(name string, n int64) Attribute { return attribute.Int64("fenceline."+name, n) }

// Truth says whether something is so.
func Truth(name string, is bool) Attribute { return attribute.Bool("fenceline."+name, is) }

// Fleet says which fleet it is about.
func Fleet(name string) Attribute { return attribute.String("fenceline.fleet", name) }

// Rollout says which rollout it is.
func Rollout(id string) Attribute { return attribute.String("fenceline.rollout", id) }

// Node says which node of the fleet it is.
func Node(name string) Attribute { return attribute.String("fenceline.node", name) }

// Worker says who builds.
func Worker(name string) Attribute { return semconv.CICDWorkerName(name) }

// Result says how a build ended.
func Result(state string) Attribute { return attribute.String("fenceline.result", state) }

// HTTP says which route a request came to, and by which method.
func HTTP(method, route string) Option {
	return Saying(attribute.String("http.request.method", method), semconv.HTTPRoute(route))
}

// Status is what a request was answered.
func Status(code int) Attribute { return semconv.HTTPResponseStatusCode(code) }

// Message says which message is sent or taken, and in which stream.
func Message(operation, stream, id string) Option {
	return Saying(semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName(operation),
		semconv.MessagingDestinationName(stream), semconv.MessagingMessageID(id))
}

// Build says which build it is, of which pipeline, from which commit.
func Build(r *messages.BuildRequested) Option {
	all := []Attribute{semconv.CICDPipelineName(r.Pipeline.Name), semconv.CICDPipelineRunID(r.Build)}
	if r.Pipeline.Repository != "" {
		all = append(all, semconv.VCSRepositoryURLFull(safe(r.Pipeline.Repository)))
	}
	if r.Commit != "" {
		all = append(all, semconv.VCSRefHeadRevision(safe(r.Commit)))
	}
	if ref := r.FullRef(); ref != "" {
		all = append(all, semconv.VCSRefHeadName(safe(ref)))
	}
	return Saying(all...)
}

// Image says which image it is.
func Image(i messages.Image) Option {
	return Saying(Images(i)...)
}

// Images is Image for a span that has begun.
func Images(i messages.Image) []Attribute {
	return []Attribute{semconv.ContainerImageName(i.Name()), semconv.ContainerImageRepoDigests(i.String())}
}
