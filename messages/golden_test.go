package messages

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the goldens of testdata anew")

const (
	sampleCommit = "0123456789abcdef0123456789abcdef01234567"
	sampleDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	sampleImage  = Image("registry.example.com:5000/exampleco/newimg@" + sampleDigest)
	sampleBase   = Image("registry.example.com:5000/stackato/stack-alsek@" + sampleDigest)
	sampleBuild  = "libgraphite2-abcdefgh"
)

var sampleTime = time.Date(2026, 2, 3, 4, 5, 6, 789000000, time.UTC)

func sampleEnvelope() Envelope {
	return Envelope{
		ID:          "01j-7f",
		Source:      "/fenceline/builder/b 1",
		Subject:     "größe \"50%\"",
		Time:        sampleTime,
		Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
}

func samplePipeline() Pipeline {
	return Pipeline{
		Name: "libgraphite2", Repository: "https://git.example.com/ops/libgraphite2.git", Branch: "main",
		Dockerfile: "Dockerfile", Directory: "images/base", Image: "registry.example.com:5000/exampleco/newimg",
		Platform: "linux/amd64", BuildArgs: map[string]string{"BASE": "stackato/stack-alsek:latest"},
		HooksDir: DefaultHooksDir, Submodules: SubmodulesSameHost, TokenName: "git-token", Secrets: []string{"licence"},
		Timeout: Duration(30 * time.Minute), Attempts: 5, RetryFor: DefaultRetryFor, Fleets: sampleFleets(),
	}
}

func sampleFleets() []FleetTarget {
	p := DefaultPolicy()
	p.Waves, p.MaxInFlight, p.Approval = []int{10, 50, 100}, 3, true
	p.Soak, p.PreloadBases, p.Trial.Network, p.Trial.User = Duration(time.Minute), true, "bridge", "deploy"
	p.SoakGrace, p.SoakFailures = Duration(30*time.Second), new(5)
	p.Reference = ReferenceLocal
	return []FleetTarget{{Fleet: "production", Policy: p}}
}

func sampleFleetRecord() FleetRecord {
	current := FleetImage{Image: sampleImage, Build: sampleBuild, Order: 7, Rollout: "production-" + sampleBuild, HooksDir: DefaultHooksDir}
	return FleetRecord{
		Fleet: "production", ID: "qrstuvwx", Epoch: 3, Decision: "ijklmnop", Current: current, Previous: current, Keep: []FleetImage{current},
		Preload: &Preload{
			FleetImage: current, Hooks: []string{"pre-running"}, Canaries: []string{"dea-1"},
			Trial: Trial{Timeout: Duration(time.Minute), User: "deploy"}, Threshold: 1<<64 - 1,
		},
		Bases:   &BasePreload{Build: sampleBuild, Images: []Image{sampleBase}, Threshold: 1 << 63},
		Highest: 7, Hold: &Hold{By: "ann", Reason: "rolled back", At: sampleTime, Epoch: 3},
		Spread: &Spread{Rollout: current.Rollout, Threshold: 1 << 62}, Turns: &Turns{Nodes: []string{"dea-1"}},
		Soaking: "production-" + sampleBuild, Rollout: "production-" + sampleBuild,
		Applied: Applied{Epoch: 3, Value: string(sampleImage), Error: "timeout"}, Reference: ReferenceLocal,
	}
}

// samples has one payload of every type with every field set.
func samples() []Payload {
	ref := BuildRef{Build: sampleBuild, Pipeline: "libgraphite2", Order: 7}
	finding := Finding{File: "pre-running", Line: 3, Problem: "if without fi", Fix: "add fi", Warning: true, More: 7}
	bases := []PinnedBase{{Source: "docker.io/stackato/stack-alsek:latest", Image: sampleBase}}
	return []Payload{
		&BuildRequested{
			Build: sampleBuild, Order: 7, Pipeline: samplePipeline(), Ref: "refs/heads/main", Commit: sampleCommit,
			Cause: CausePush, RequestedBy: "ann", Received: sampleTime,
		},
		&BuildStarted{BuildRef: ref, Attempt: 1, Worker: "b1", Commit: sampleCommit},
		&BasePinned{BuildRef: ref, Attempt: 1, Bases: bases, Fleets: sampleFleets()},
		&BuildFailed{BuildRef: ref, Attempt: 2, Commit: sampleCommit, Failure: Failure{
			Class: FailureHooks, Reason: "a hook is refused", Place: "pre-running:3", Detail: "line <3>",
			Fix: "mend it", Findings: []Finding{finding},
		}},
		&BuildSuperseded{BuildRef: ref, Commit: sampleCommit, Head: strings.Repeat("f", 40)},
		&BuildCancelled{BuildRef: ref, By: "ann", Why: "wrong branch"},
		&BuildLog{
			BuildRef: ref, Attempt: 1, Step: StepBuilt, Vertex: "[2/3] RUN true", Text: "one\ntwo", Error: true,
			Progress: &VertexProgress{
				ID: "sha256:aa", Started: sampleTime, Completed: sampleTime, Cached: true, Stopped: true, Output: true,
				Parts: []VertexPart{{Name: "layer", Current: 1, Total: 2, Started: sampleTime, Completed: sampleTime}},
			},
		},
		&ImageReady{
			BuildRef: ref, Image: sampleImage, Tag: "0123456789ab", Commit: sampleCommit, Ref: "refs/heads/main",
			HooksDir: DefaultHooksDir, Hooks: []string{"pre-running"}, Bases: bases, Bytes: 123456,
			Fleets: sampleFleets(), Warnings: []Finding{finding}, Received: sampleTime,
		},
		&NodeFailed{Fleet: "production", Node: "dea-1", Rollout: "production-" + sampleBuild, Image: sampleImage, Step: "pull", Reason: "no space"},
		&TrialFinished{Fleet: "production", Node: "dea-1", Rollout: "production-" + sampleBuild, Image: sampleImage, TrialResult: TrialResult{
			Passed: true, Hooks: []HookRun{{Hook: "pre-running", Exit: -1, Output: "hello"}}, Reason: "took too long",
		}},
		&RolloutChanged{
			Fleet: "production", Rollout: "production-" + sampleBuild, Build: sampleBuild, Order: 7, Image: sampleImage,
			State: RolloutFlipped, Why: "quorum", Epoch: 3, By: "ann", Present: 2, Members: 3,
			To: sampleFleetRecord().Current,
		},
		&FleetChanged{Revision: 9, Record: sampleFleetRecord()},
		&FenceAsked{Ask: "mnopqrst", Fleet: "production", Set: &FenceSet{Value: string(sampleImage), By: "ann", Reason: "until the next build"}},
		&FenceAnswered{
			Ask: "mnopqrst", Fleet: "production", Store: FenceKato, Value: string(sampleImage), Previous: "stackato/stack-alsek", Held: true, Error: "timeout", Again: true,
		},
		&CallsAudited{Lost: 3, Calls: []AuditedCall{{
			At: sampleTime, What: "webhook", Path: "/hooks/github", By: "ann", From: "192.0.2.7", Delivery: "72d3162e", Outcome: OutcomeAccepted, Status: 202,
			Why: "tag \"v1\" was deleted", Builds: []string{sampleBuild}, More: 2,
		}}},
		&RefusalsCounted{Since: sampleTime, Until: sampleTime, Refusals: []Refusals{
			{What: "webhook", Path: "/hooks/github", From: "192.0.2.7", Status: 401, Why: "the signature does not match", Count: 4},
		}},
		&DecisionMade{
			At: sampleTime, Action: "rollback", Fleet: "production", About: "production-" + sampleBuild, To: sampleDigest, By: "ann", Via: "console",
			From: "192.0.2.7", Reason: "it breaks logins", Outcome: OutcomeRefused, Why: "fewer nodes than a quorum hold it", Doubtful: true,
		},
		&EventUndelivered{Sink: "ops-chat", Event: Message{Headers: Headers{"ce-id": {"x"}}, Body: []byte(`{}`)}, Stored: sampleTime},
		&DeadLetter{
			Stream: "fenceline-requests", Sequence: 4, Subject: "fenceline.build.requested.v1.libgraphite2", Reason: "not JSON",
			Headers: Headers{"ce-id": {"x"}}, Body: []byte("{"), Deliveries: 2, At: sampleTime,
		},
	}
}

func TestSamplesCoverEveryTypeAndField(t *testing.T) {
	seen := map[Type]bool{}
	for _, p := range samples() {
		seen[p.MessageType()] = true
		checkFilled(t, string(p.MessageType()), reflect.ValueOf(p).Elem())
	}
	for typ := range registry {
		if !seen[typ] {
			t.Errorf("no sample of %s: the golden of a type is its promise to older and newer readers", typ)
		}
	}
}

// unfilled are fields that exclude another one, or whose zero value is the sample.
var unfilled = map[string]bool{
	"dev.fenceline.build.failed.v1.Failure.Findings.Column":                  true, // see TestAFindingsColumnIsInItsWireForm
	"dev.fenceline.image.ready.v1.Warnings.Column":                           true,
	"dev.fenceline.build.requested.v1.Context":                               true,
	"dev.fenceline.build.requested.v1.Tag":                                   true, // see TestARequestOfATagIsOneThatOlderBuildersRead
	"dev.fenceline.build.requested.v1.Matched":                               true,
	"dev.fenceline.build.requested.v1.NoCache":                               true, // see TestThatNoCacheIsTakenIsInItsWireForm
	"dev.fenceline.build.requested.v1.OnlyIf":                                true, // see TestConditionsAreInTheirWireForm
	"dev.fenceline.build.cancelled.v1.Unchanged":                             true,
	"dev.fenceline.build.requested.v1.Pipeline.MovingTag":                    true, // see TestBasesAndMovingTagsAreInTheirWireForm
	"dev.fenceline.image.ready.v1.MovingTag":                                 true,
	"dev.fenceline.image.ready.v1.Bases.Fixed":                               true,
	"dev.fenceline.base.pinned.v1.Bases.Fixed":                               true,
	"dev.fenceline.base.pinned.v1.Unfetched":                                 true,
	"dev.fenceline.build.requested.v1.Reason":                                true, // see TestAReasonIsInItsWireForm
	"dev.fenceline.build.started.v1.Reason":                                  true,
	"dev.fenceline.image.ready.v1.Reason":                                    true,
	"dev.fenceline.build.requested.v1.Pipeline.Branches":                     true,
	"dev.fenceline.build.requested.v1.Pipeline.Concurrency":                  true, // see TestConcurrencyIsInItsWireForm
	"dev.fenceline.build.requested.v1.Pipeline.CancelRunning":                true,
	"dev.fenceline.build.superseded.v1.FollowedBy":                           true,
	"dev.fenceline.build.superseded.v1.Running":                              true,
	"dev.fenceline.build.superseded.v1.Overtaken":                            true,
	"dev.fenceline.build.requested.v1.Pipeline.Tags":                         true,
	"dev.fenceline.build.requested.v1.Pipeline.Fleets.Policy.Trial.Disabled": true,
	"dev.fenceline.base.pinned.v1.Fleets.Policy.Trial.Disabled":              true,
	"dev.fenceline.image.ready.v1.Fleets.Policy.Trial.Disabled":              true,
	"dev.fenceline.fleet.changed.v1.Record.Preload.Trial.Disabled":           true,
	"dev.fenceline.fleet.changed.v1.Record.Preload.Trial.Network":            true,
	"dev.fenceline.fleet.changed.v1.Record.Preload.Traceparent":              true, // see TestAPreloadsTraceIsInItsWireForm
	"dev.fenceline.fleet.changed.v1.Record.Preload.Traced":                   true,
	"dev.fenceline.fleet.changed.v1.Record.Mended":                           true, // see TestALaterFleetRecordIsInItsWireForm
	"dev.fenceline.fleet.changed.v1.Record.NodeTTL":                          true,
	"dev.fenceline.fleet.changed.v1.Record.Fence":                            true,
	"dev.fenceline.fleet.changed.v1.Record.Decided":                          true,
	"dev.fenceline.fleet.changed.v1.Record.Applied.Store":                    true,
	"dev.fenceline.fleet.changed.v1.Record.Applied.ByHand":                   true,
	"dev.fenceline.build.requested.v1.Pipeline.Fleets.Policy.Fence":          true, // see TestALaterPolicyIsInItsWireForm
	"dev.fenceline.base.pinned.v1.Fleets.Policy.Fence":                       true,
	"dev.fenceline.image.ready.v1.Fleets.Policy.Fence":                       true,
	"dev.fenceline.dead.letter.v1.Omitted":                                   true,
	"dev.fenceline.build.requested.v1.Pipeline.Fleets.Policy.Apply":          true, // see TestAPolicyOfApplyingIsInItsWireForm
	"dev.fenceline.base.pinned.v1.Fleets.Policy.Apply":                       true,
	"dev.fenceline.image.ready.v1.Fleets.Policy.Apply":                       true,
	"dev.fenceline.build.requested.v1.Pipeline.Fleets.Policy.PreloadFrom":    true, // see TestHowNodesFetchIsInItsWireForm
	"dev.fenceline.base.pinned.v1.Fleets.Policy.PreloadFrom":                 true,
	"dev.fenceline.image.ready.v1.Fleets.Policy.PreloadFrom":                 true,
	"dev.fenceline.build.requested.v1.Pipeline.Fleets.Policy.Pull":           true,
	"dev.fenceline.base.pinned.v1.Fleets.Policy.Pull":                        true,
	"dev.fenceline.image.ready.v1.Fleets.Policy.Pull":                        true,
	"dev.fenceline.fleet.changed.v1.Record.PreloadFrom":                      true,
	"dev.fenceline.fleet.changed.v1.Record.Pull":                             true,
	"dev.fenceline.fleet.changed.v1.Record.Released":                         true,
	"dev.fenceline.fleet.changed.v1.Record.Firsts":                           true,
	"dev.fenceline.fleet.changed.v1.Record.Bases.Refused":                    true,
}

// TestAFindingsColumnIsInItsWireForm where it is known.
func TestAFindingsColumnIsInItsWireForm(t *testing.T) {
	for want, f := range map[string]Finding{
		`{"file":"f","line":2,"column":7,"problem":"p","fix":"x"}`: {File: "f", Line: 2, Column: 7, Problem: "p", Fix: "x"},
		`{"file":"f","line":2,"problem":"p","fix":"x"}`:            {File: "f", Line: 2, Problem: "p", Fix: "x"},
	} {
		if got, err := json.Marshal(f); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}

// The golden has a preload as a fleet's first controllers wrote it, without a trace.
func TestAPreloadsTraceIsInItsWireForm(t *testing.T) {
	r := sampleFleetRecord()
	r.Preload.Traceparent, r.Preload.Traced = sampleEnvelope().Traceparent, 1<<63
	m, err := Encode(sampleEnvelope(), &FleetChanged{Revision: 9, Record: r})
	if err != nil || !bytes.Contains(m.Body, []byte(`"traceparent":"`+r.Preload.Traceparent+`","traced":"9223372036854775808"`)) {
		t.Fatalf("it is %s, error %v", m.Body, err)
	}
	if _, got, err := DecodeAs[*FleetChanged](m); err != nil || got.Record.Preload.Traceparent != r.Preload.Traceparent || got.Record.Preload.Traced != r.Preload.Traced {
		t.Errorf("read, it is %+v, error %v", got, err)
	}
}

func checkFilled(t *testing.T, at string, v reflect.Value) {
	t.Helper()
	if v.IsZero() && !unfilled[at] {
		t.Errorf("the sample leaves %s empty", at)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			checkFilled(t, at, v.Elem())
		}
	case reflect.Slice:
		if v.Len() > 0 && v.Index(0).Kind() == reflect.Struct {
			checkFilled(t, at, v.Index(0))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			checkFilled(t, at+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
}

func TestGoldens(t *testing.T) {
	known := map[string]bool{}
	for _, p := range samples() {
		name := string(p.MessageType()) + ".json"
		known[name] = true
		t.Run(name, func(t *testing.T) {
			m, err := Encode(sampleEnvelope(), p)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			enc := json.NewEncoder(&got)
			enc.SetIndent("", "  ")
			if err := enc.Encode(m); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v: run go test ./messages -update for a new type", err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("the wire form differs from %s: a change that older readers can't read needs a new version\n got %s\nwant %s", file, got.Bytes(), want)
			}
			var kept Message
			if err := json.Unmarshal(want, &kept); err != nil {
				t.Fatal(err)
			}
			e, q, err := Decode(kept)
			if err != nil {
				t.Fatal(err)
			}
			if e != sampleEnvelope() || !reflect.DeepEqual(p, q) {
				t.Errorf("decoding the golden gives\n%#v %#v, not\n%#v %#v", e, q, sampleEnvelope(), p)
			}
		})
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !f.IsDir() && !known[f.Name()] {
			t.Errorf("testdata/%s is the golden of no type", f.Name())
		}
	}
}

// The golden has a fleet's record as the first controllers wrote it, without what came later.
func TestALaterFleetRecordIsInItsWireForm(t *testing.T) {
	r := sampleFleetRecord()
	r.Mended, r.NodeTTL = &Mended{By: "ann", At: sampleTime, What: "highest order set from 9 to 4"}, Duration(30*time.Second)
	r.Fence, r.Decided = FenceConfdis, &Decided{Epoch: 3, By: "ann", Reason: "rolled back", At: sampleTime}
	r.Applied.Store, r.Applied.ByHand = FenceKato, true
	r.Released = &Released{By: "ann", Reason: "mended", At: sampleTime, Held: sampleTime.Add(-time.Hour)}
	m, err := Encode(sampleEnvelope(), &FleetChanged{Revision: 9, Record: r})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"mended":{"by":"ann","at":"2026-02-03T04:05:06.789Z","what":"highest order set from 9 to 4"}`, `"node_ttl":"30s"`,
		`"fence":"confdis"`, `"decided":{"epoch":3,"by":"ann","reason":"rolled back","at":"2026-02-03T04:05:06.789Z"}`, `"store":"kato","by_hand":true`,
		`"released":{"by":"ann","reason":"mended","at":"2026-02-03T04:05:06.789Z","held":"2026-02-03T03:05:06.789Z"}`} {
		if !strings.Contains(string(m.Body), want) {
			t.Errorf("it has no %s: %s", want, m.Body)
		}
	}
}

// The goldens have policies without what came later.
func TestALaterPolicyIsInItsWireForm(t *testing.T) {
	p := samplePipeline()
	p.Fleets[0].Policy.Fence = FenceExec
	m, err := Encode(sampleEnvelope(), &BuildRequested{Build: sampleBuild, Pipeline: p, Commit: sampleCommit, Ref: "refs/heads/main", Cause: CausePush, Received: sampleTime})
	if err != nil || !strings.Contains(string(m.Body), `"fence":"exec"`) {
		t.Fatalf("it is %s, error %v", m.Body, err)
	}
	if _, got, err := DecodeAs[*BuildRequested](m); err != nil || got.Pipeline.Fleets[0].Policy.Fence != FenceExec {
		t.Errorf("read, it is %+v, error %v", got, err)
	}
}

// A kind of fence config that a later version has is no reason to refuse an image, or a fleet's record.
func TestAnUnknownFenceIsNoReasonToRefuse(t *testing.T) {
	p := DefaultPolicy()
	p.Fence = "zookeeper"
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if err := CheckFence("kat"); err == nil || !strings.Contains(err.Error(), `"kat"`) || !strings.Contains(err.Error(), "natskv, kato, confdis, exec") {
		t.Errorf("it says %v", err)
	}
}
