package cli

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/cli/plan"
	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/standalone"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// noise is what can't be compressed.
func noise(n int) string {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(b)
	return string(b)
}

// onTop pushes an image that has a layer of so many bytes over another one, and returns it with that layer's size.
func onTop(t *testing.T, r *buildkittest.Registry, base, repository string, n int) (messages.Image, int64) {
	t.Helper()
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := io.WriteString(w, noise(n))
		return io.NopCloser(&b), errors.Join(err, w.Close())
	})
	queuetest.Must(t, err)
	image, err := mutate.AppendLayers(r.Image(t, base), layer)
	queuetest.Must(t, err)
	ref, err := name.NewTag(r.Host + "/" + repository)
	queuetest.Must(t, err)
	queuetest.Must(t, remote.Write(ref, image))
	size, err := layer.Size()
	queuetest.Must(t, err)
	return at(t, image, ref), size
}

// at is a pushed image by its digest.
func at(t *testing.T, image v1.Image, ref name.Reference) messages.Image {
	t.Helper()
	digest, err := image.Digest()
	queuetest.Must(t, err)
	return messages.Image(ref.Context().Name() + "@" + digest.String())
}

// planSite is a pipeline with two fleets, of which the first has four nodes, after its first build.
type planSite struct {
	client   *queue.Client
	registry *buildkittest.Registry
	repo     *gittest.Repository
	git      *gittest.Server
	file     string // the pipeline file
	base     string // the base's tag
	image    messages.Image
	own      int64 // bytes of the image's own layer
}

const planFile = `version: 1
pipelines:
  - name: base
    repository: %s
    image: %s/app
    paths: ["Dockerfile", "files/**"]
    skip_ci: true
    webhook: {secret_file: hook}
    fleets:
      - {name: staging, rollout: {canaries: 1, waves: [50%%, 100%%], quorum: 75%%, max_in_flight: 2, soak: 10m}}
      - {name: production}
`

func newPlanSite(t *testing.T) *planSite {
	t.Helper()
	s := &planSite{client: installation(t), registry: buildkittest.NewRegistry(t), git: gittest.Start(t)}
	s.repo = s.git.Repository(t, "base")
	s.base = s.registry.PushBase(t, "os:1", buildkittest.File{Name: "os", Content: noise(40_000)})
	commit := s.repo.Commit(t, "main", map[string]string{"Dockerfile": "ARG V=1\nFROM " + s.registry.Host + "/os:$V\nADD files /\n", "README": "x\n"})
	s.image, s.own = onTop(t, s.registry, s.base, "app:1", 20_000)
	baseRef, err := name.ParseReference(s.base)
	queuetest.Must(t, err)
	s.file = filepath.Join(t.TempDir(), "fenceline.yaml")
	clitest.Write(t, s.file, fmt.Sprintf(planFile, s.repo.URL, s.registry.Host))
	create(t, store.Builds(s.client), "base-aaaaaaaa", messages.BuildRecord{
		BuildRef: messages.BuildRef{Build: "base-aaaaaaaa", Pipeline: "base", Order: 1}, State: messages.BuildStateSucceeded, Ref: "refs/heads/main", Commit: commit, Image: s.image, Announced: true,
	})
	buildstest.Announce(t, s.client, "", &messages.ImageReady{
		BuildRef: messages.BuildRef{Build: "base-aaaaaaaa", Pipeline: "base", Order: 1}, Image: s.image, Commit: commit, Ref: "refs/heads/main", HooksDir: "/etc/stackato/hooks",
		Bases: []messages.PinnedBase{{Source: s.base, Image: at(t, s.registry.Image(t, s.base), baseRef)}}, Bytes: 60_000,
	})
	for _, fleet := range []string{"staging", "production"} {
		create(t, store.Fleets(s.client), fleet, messages.FleetRecord{Fleet: fleet, Epoch: 1, Applied: messages.Applied{Epoch: 1}, Current: messages.FleetImage{Image: s.image}})
		for i := range 4 {
			s.beat(t, fleet, fmt.Sprint("n", i), func(n *messages.NodeStatus) { n.Images = []messages.PresentImage{{Image: s.image}} })
		}
	}
	return s
}

// beat makes a node a member, and sends a heartbeat of it.
func (s *planSite) beat(t *testing.T, fleet, node string, change func(*messages.NodeStatus)) {
	t.Helper()
	key := messages.NodeKey(fleet, node)
	_, err := store.Members(s.client).Create(t.Context(), key, messages.Member{Fleet: fleet, Node: node})
	if err != nil && !errors.Is(err, queue.ErrExists) {
		t.Fatal(err)
	}
	n := messages.NodeStatus{Fleet: fleet, Node: node, Instance: "i", Beat: 1, Interval: messages.Duration(time.Hour), FreeBytes: 50 << 30, Revision: 1 << 40}
	if change != nil {
		change(&n)
	}
	queuetest.Must(t, store.NewNode(s.client).Heartbeat(t.Context(), &n))
}

// plan makes a plan, and checks its exit status.
func (s *planSite) plan(t *testing.T, status int, args ...string) *plan.Plan {
	t.Helper()
	got := fenceline(t, append([]string{"plan", "base", "-o", "json", "--config", s.file}, args...)...)
	if got.status != status || got.err != "" {
		t.Fatalf("status %d, want %d: %s%s", got.status, status, got.err, got.out)
	}
	p := new(plan.Plan)
	queuetest.Must(t, json.Unmarshal([]byte(got.out), p))
	return p
}

func (s *planSite) table(t *testing.T, args ...string) string {
	t.Helper()
	return fenceline(t, append([]string{"plan", "base", "--config", s.file}, args...)...).out
}

func kinds(all []decide.Obstacle) string {
	var out []string
	for _, o := range all {
		out = append(out, string(o.Kind))
	}
	return strings.Join(out, " ")
}

// TestAPlanOfWhatIsBuilt has nothing in its way, and nothing to fetch but what a push would change.
func TestAPlanOfWhatIsBuilt(t *testing.T) {
	s := newPlanSite(t)
	before := streamsAt(t, s.client)
	p := s.plan(t, ExitDone)
	if !p.Flips || p.Head.Build != "base-aaaaaaaa" || p.Head.State != "succeeded" || p.Last.Image != s.image || p.From != s.file {
		t.Errorf("the plan is %+v", p)
	}
	if len(p.Bases.Sources) != 1 || p.Bases.Sources[0].State != plan.BaseSame || p.Bases.Sources[0].Source != s.base || p.Bases.From != "Dockerfile at the head" {
		t.Errorf("the bases are %+v", p.Bases)
	}
	f := p.Fleets[0]
	if f.Members != 4 || f.Needed != 3 || f.Canaries != 1 || !slices.Equal(f.Waves, []int{2, 4}) || f.InFlight != 2 || f.Soak.Std() != 10*time.Minute || len(f.Obstacles) > 0 || !f.Trial {
		t.Errorf("staging is %+v", f)
	}
	for _, n := range f.Fetches {
		if n.Bytes != 0 || n.Most != s.own || n.Short != "" {
			t.Errorf("a node fetches %+v; the image's own layer has %d bytes", n, s.own)
		}
	}
	if p.Fleets[1].After != "staging" {
		t.Errorf("production is %+v", p.Fleets[1])
	}
	has(t, s.table(t), "has build base-aaaaaaaa (succeeded)", "fleet staging: 4 of 4 members could have the image, 3 must", "1 canary with a trial, then 2, 4 of the nodes",
		"at most 2 fetch at one time; soaks for 10m0s", "4 nodes would fetch 0 B, at most", "Nothing stands in the way")
	if after := streamsAt(t, s.client); before != after {
		t.Errorf("it wrote: %s before, %s after", before, after)
	}
}

// streamsAt is how much there is in every stream.
func streamsAt(t *testing.T, c *queue.Client) string {
	t.Helper()
	out := ""
	list := queuetest.JetStream(t, c).ListStreams(t.Context())
	for info := range list.Info() {
		out += fmt.Sprintf("%s:%d:%d ", info.Config.Name, info.State.LastSeq, info.State.Consumers)
	}
	queuetest.Must(t, list.Err())
	return out
}

// TestAPlanOfAMovedBase: the base's tag names another image, and a node lacks all, one the image, and one has the base alone.
func TestAPlanOfAMovedBase(t *testing.T) {
	s := newPlanSite(t)
	old, err := name.ParseReference(s.base)
	queuetest.Must(t, err)
	oldBase := at(t, s.registry.Image(t, s.base), old)
	s.registry.PushBase(t, "os:1", buildkittest.File{Name: "os", Content: noise(50_000)})
	newBase := at(t, s.registry.Image(t, s.base), old)
	layers, err := s.registry.Image(t, s.base).Layers()
	queuetest.Must(t, err)
	size, err := layers[0].Size()
	queuetest.Must(t, err)
	s.beat(t, "staging", "n1", func(n *messages.NodeStatus) { n.Images = nil })
	s.beat(t, "staging", "n2", func(n *messages.NodeStatus) { n.Images = []messages.PresentImage{{Image: newBase}} })
	s.beat(t, "staging", "n3", func(n *messages.NodeStatus) { n.Images, n.Ledger = nil, []messages.LedgerEntry{{Image: newBase}} })
	p := s.plan(t, ExitDone)
	if b := p.Bases.Sources[0]; b.State != plan.BaseMoved || b.Before != oldBase || b.Image != newBase {
		t.Errorf("the base is %+v", b)
	}
	for i, want := range []int64{size + s.own, size + s.own, s.own, s.own} {
		if n := p.Fleets[0].Fetches[i]; n.Bytes != want || n.Most != want {
			t.Errorf("%+v, want %d bytes", n, want)
		}
	}
}

// TestAPlanOfANewHead goes by the filters of the file: what a push from the last commit that was built changed.
func TestAPlanOfANewHead(t *testing.T) {
	s := newPlanSite(t)
	s.repo.Commit(t, "main", map[string]string{"README": "y\n"})
	p := s.plan(t, ExitBlocked)
	if p.Flips || p.Head.Build != "" || p.Head.Builds == nil || *p.Head.Builds || !strings.Contains(p.Head.Why, "none of the 1 files") || kinds(p.Obstacles) != "filters" {
		t.Errorf("a change of README: %+v", p)
	}
	has(t, s.table(t), "would get none: none of the 1 files", "IN THE WAY: none of the 1 files", "A push now would not flip by itself: 1 thing is in the way.")
	s.repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM " + s.base + "\nFROM " + s.registry.PushBase(t, "other:2") + "\n"})
	p = s.plan(t, ExitDone)
	if !p.Flips || p.Head.Builds == nil || !*p.Head.Builds || !strings.Contains(p.Head.Why, `path "Dockerfile"`) {
		t.Errorf("a change of the Dockerfile: %+v", p.Head)
	}
	if b := p.Bases.Sources; len(b) != 2 || b[0].State != plan.BaseNew || b[0].Source != s.registry.Host+"/other:2" || b[1].State != plan.BaseGone || b[1].Source != s.base {
		t.Errorf("the bases are %+v", b)
	}
	s.repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM " + s.registry.Host + "/gone:1\n"})
	if p = s.plan(t, ExitBlocked); kinds(p.Obstacles) != "bases" || p.Bases.Sources[0].State != plan.BaseUnknown {
		t.Errorf("a base that is not there: %+v", p.Obstacles)
	}
	s.repo.Commit(t, "main", map[string]string{"Dockerfile": "FORM x\n"})
	if p = s.plan(t, ExitBlocked); kinds(p.Obstacles) != "bases" || !strings.Contains(p.Bases.Problem, "unknown instruction") {
		t.Errorf("a broken Dockerfile: %+v", p)
	}
	if p = s.plan(t, ExitBlocked, "--branch", "other"); kinds(p.Obstacles) != "head" || !strings.Contains(p.Head.Unknown, "no such branch") {
		t.Errorf("a branch that is not there: %+v", p)
	}
}

// TestAPlanSaysWhoWouldNotCount, and whether the others are enough.
func TestAPlanSaysWhoWouldNotCount(t *testing.T) {
	s := newPlanSite(t)
	s.beat(t, "staging", "n1", func(n *messages.NodeStatus) { n.Images, n.FreeBytes, n.MinFreeBytes = nil, 1<<30, 1<<30 })
	p := s.plan(t, ExitDone)
	if f := p.Fleets[0]; len(f.Absent) != 1 || !strings.Contains(f.Absent["n1"], "no room") || !strings.Contains(f.Absent["n1"], "1.1 GB must stay free") {
		t.Errorf("staging is %+v", f)
	}
	s.beat(t, "staging", "n2", func(n *messages.NodeStatus) { n.Engine.Error = "no answer" })
	create(t, store.Members(s.client), messages.NodeKey("staging", "n9"), messages.Member{Fleet: "staging", Node: "n9"})
	p = s.plan(t, ExitBlocked)
	if f := p.Fleets[0]; kinds(f.Obstacles) != "quorum" || f.Members != 5 || f.Absent["n2"] != "engine: no answer" || f.Absent["n9"] != "silent: no heartbeat" {
		t.Errorf("staging is %+v", f)
	}
	if got := kinds(p.Fleets[1].Obstacles); got != "before" {
		t.Errorf("production has %s", got)
	}
	has(t, s.table(t), "would not count: n9: silent: no heartbeat", "IN THE WAY: 4 of 5 members must have the image, and 2 could")
}

// TestAPlanSaysWhatHoldsAFleet by its record.
func TestAPlanSaysWhatHoldsAFleet(t *testing.T) {
	s := newPlanSite(t)
	for what, c := range map[string]struct {
		change func(*messages.FleetRecord)
		kinds  string
	}{
		"a hold":       {func(r *messages.FleetRecord) { r.Hold = &messages.Hold{By: "ann", Reason: "freeze"} }, "hold"},
		"a soak":       {func(r *messages.FleetRecord) { r.Soaking = "staging-base-aaaaaaaa" }, "soak"},
		"an order":     {func(r *messages.FleetRecord) { r.Highest = 1000 }, "order"},
		"a fence":      {func(r *messages.FleetRecord) { r.Applied.Error = "no such key" }, "fence"},
		"no follower":  {func(r *messages.FleetRecord) { r.Epoch = 7 }, "fence"},
		"nothing else": {func(*messages.FleetRecord) {}, ""},
	} {
		_, err := store.Fleets(s.client).Modify(t.Context(), "staging", func(r *messages.FleetRecord) error {
			*r = messages.FleetRecord{Fleet: "staging", Epoch: 1, Applied: messages.Applied{Epoch: 1}}
			c.change(r)
			return nil
		})
		queuetest.Must(t, err)
		status := ExitBlocked
		if c.kinds == "" {
			status = ExitDone
		}
		if p := s.plan(t, status); kinds(p.Fleets[0].Obstacles) != c.kinds {
			t.Errorf("%s: %+v", what, p.Fleets[0].Obstacles)
		}
	}
	_, err := queuetest.JetStream(t, s.client).Publish(t.Context(), "$KV.fenceline-fleets.staging", []byte(wrecked))
	queuetest.Must(t, err)
	if p := s.plan(t, ExitBlocked); !strings.Contains(kinds(p.Fleets[0].Obstacles), "record") {
		t.Errorf("a wrecked record: %+v", p.Fleets[0].Obstacles)
	}
}

// TestAPlanWithoutGitAndRegistry says the rest.
func TestAPlanWithoutGitAndRegistry(t *testing.T) {
	s := newPlanSite(t)
	s.git.RequireToken("sesame-of-the-repository")
	p := s.plan(t, ExitBlocked)
	if kinds(p.Obstacles) != "head" || p.Bases.From != "the last image" || !strings.Contains(p.Bases.Why, "can't be read here") || p.Bases.Sources[0].State != plan.BaseSame || p.Fleets[0].Fetches[0].Most != s.own {
		t.Errorf("without git: %+v", p)
	}
	s.registry.Refuse(func(*http.Request) int { return http.StatusServiceUnavailable })
	p = s.plan(t, ExitBlocked)
	if kinds(p.Obstacles) != "head bases" || p.Fleets[0].Unknown == "" || p.Fleets[0].Members != 4 || p.Fleets[0].Fetches[0].Bytes != -1 {
		t.Errorf("without git and registry: %+v", p)
	}
	has(t, s.table(t), "its head is not known", "what nodes would fetch is not known", "4 of 4 members")
}

// TestAPlanAsksWithLogins: the token of the repository and the login of the registry, and shows neither.
func TestAPlanAsksWithLogins(t *testing.T) {
	s := newPlanSite(t)
	dir := t.TempDir()
	clitest.Write(t, filepath.Join(dir, "git"), "sesame-of-the-repository")
	clitest.Write(t, filepath.Join(dir, "config.json"), fmt.Sprintf(`{"auths":{"%s":{"auth":"dTpvcGVu"}}}`, s.registry.Host)) // u:open
	clitest.Write(t, s.file, strings.Replace(fmt.Sprintf(planFile, s.repo.URL, s.registry.Host), "    paths:", "    repository_token: git\n    paths:", 1))
	s.git.RequireToken("sesame-of-the-repository")
	s.registry.Answer(func(w http.ResponseWriter, q *http.Request) bool {
		if user, password, _ := q.BasicAuth(); user == "u" && password == "open" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	args := []string{"--secrets-dir", dir, "--docker-config", dir}
	if p := s.plan(t, ExitDone, args...); p.Bases.Sources[0].State != plan.BaseSame || p.Fleets[0].Fetches[0].Most != s.own {
		t.Errorf("with both: %+v", p)
	}
	p := s.plan(t, ExitBlocked)
	if kinds(p.Obstacles) != "head bases" || !strings.Contains(p.Obstacles[1].Why, "(--docker-config)") || !strings.Contains(p.Fleets[0].Unknown, "(--docker-config)") {
		t.Errorf("without: %+v", p)
	}
	if out := s.table(t, args...) + s.table(t); strings.Contains(out, "sesame") || strings.Contains(out, "dTpvcGVu") {
		t.Errorf("it shows a secret: %s", out)
	}
	if got := fenceline(t, "plan", "base", "--config", s.file, "--docker-config", filepath.Dir(s.file)); got.status != ExitFailed || !strings.Contains(got.err, "(--docker-config)") {
		t.Errorf("a folder without logins: %+v", got)
	}
}

// TestWhoseAPlanIs: the file's, or the last request's where there is no file.
func TestWhoseAPlanIs(t *testing.T) {
	s := newPlanSite(t)
	t.Chdir(t.TempDir())
	if got := fenceline(t, "plan", "other"); got.status != ExitFailed || !strings.Contains(got.err, "no pipeline file fenceline.yaml here, and no request for it") {
		t.Errorf("nothing is known: %+v", got)
	}
	r := buildstest.Request("base", 7)
	r.Pipeline.Repository, r.Pipeline.Image = s.repo.URL, s.registry.Host+"/app"
	r.Pipeline.Fleets = []messages.FleetTarget{{Fleet: "staging", Policy: messages.DefaultPolicy()}}
	buildstest.Submit(t, s.client, r)
	got := fenceline(t, "plan", "base")
	has(t, got.out, "from the request of build "+r.Build, "fleet staging: 4 of 4 members")
	if got.status != ExitDone {
		t.Errorf("it ends with %d: %s", got.status, got.out)
	}
	s.repo.Commit(t, "main", map[string]string{"README": "y\n"})
	if got = fenceline(t, "plan", "base"); got.status != ExitBlocked || !strings.Contains(got.out, "IN THE WAY: whether paths or skip_ci leave it out is not known") {
		t.Errorf("of a head without a build, without the file, it ends with %d: %s", got.status, got.out)
	}
	content, err := os.ReadFile(s.file)
	queuetest.Must(t, err)
	clitest.Write(t, "fenceline.yaml", string(content))
	has(t, fenceline(t, "plan", "base").out, "from fenceline.yaml")
	has(t, failed(t, "plan", "bsae"), `there is no pipeline "bsae", did you mean "base"?`)
	clitest.Write(t, "fenceline.yaml", "version: 1\npipelines: [{nam: x}]\n")
	has(t, failed(t, "plan", "base"), "fenceline.yaml:2")
	for _, args := range [][]string{{"plan"}, {"plan", "a", "b"}, {"plan", "Base"}, {"plan", "base", "--config", s.file, "--branch", "a b"}} {
		if got := fenceline(t, args...); got.status != ExitUsage {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// TestAPlanOfManyNodes takes seconds, and asks the registry for as much as for a few.
func TestAPlanOfManyNodes(t *testing.T) {
	const nodes = 10_000
	s := newPlanSite(t)
	js := queuetest.JetStream(t, s.client)
	for i := range nodes {
		n := messages.NodeStatus{Fleet: "staging", Node: fmt.Sprintf("m%d", i), Interval: messages.Duration(time.Hour), FreeBytes: 50 << 30, Revision: 1 << 40}
		if i%2 == 0 {
			n.Images = []messages.PresentImage{{Image: s.image}}
		}
		b, err := json.Marshal(n)
		queuetest.Must(t, err)
		_, err = js.PublishAsync("$KV.fenceline-nodes."+messages.NodeKey("staging", n.Node), b)
		queuetest.Must(t, err)
		if i%1000 == 999 { // more at once are refused where the machine is busy
			<-js.PublishAsyncComplete()
		}
	}
	var asked atomic.Int64
	s.registry.Answer(func(http.ResponseWriter, *http.Request) bool { asked.Add(1); return false })
	p := s.plan(t, ExitDone)
	if f := p.Fleets[0]; f.Members != nodes+4 || len(f.Fetches) != nodes+4 || !slices.Equal(f.Waves, []int{5002, 10004}) {
		t.Errorf("of many: %d members, %d fetch, waves %v", f.Members, len(f.Fetches), f.Waves)
	}
	if n := asked.Load(); n > 60 {
		t.Errorf("the registry was asked %d times", n)
	}
	if out := s.table(t); strings.Count(out, "\n") > 60 {
		t.Errorf("the table has %d lines", strings.Count(out, "\n"))
	}
}

// TestAPlanHasTheLoginOfUp for its registry, where an installation is known by its state folder.
func TestAPlanHasTheLoginOfUp(t *testing.T) {
	s := newPlanSite(t)
	behind, err := url.Parse("http://" + s.registry.Host)
	queuetest.Must(t, err)
	proxy := httputil.NewSingleHostReverseProxy(behind)
	guard := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "reader" || password != "word" {
			w.Header().Set("WWW-Authenticate", `Basic realm="up"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer guard.Close()
	host := strings.TrimPrefix(guard.URL, "http://")
	s.repo.Commit(t, "main", map[string]string{"Dockerfile": "FROM " + host + "/os:1\n"})
	asUp(t, host, "reader", "word")
	if p := s.plan(t, ExitDone); p.Bases.Sources[0].State != plan.BaseNew {
		t.Errorf("the bases are %+v", p.Bases)
	}
	none := t.TempDir()
	clitest.Write(t, filepath.Join(none, "config.json"), "{}")
	if p := s.plan(t, ExitBlocked, "--docker-config", none); p.Bases.Sources[0].State != plan.BaseUnknown {
		t.Errorf("with another folder of logins the bases are %+v", p.Bases)
	}
}

// asUp has the installation known by the state folder of `fenceline up`, with a login of its registry.
func asUp(t *testing.T, host, user, password string) {
	t.Helper()
	state, logins := t.TempDir(), t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	clitest.Write(t, filepath.Join(logins, "config.json"), fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, auth))
	text, err := json.Marshal(standalone.Client{NATS: os.Getenv("FENCELINE_NATS"), DockerConfig: logins})
	queuetest.Must(t, err)
	clitest.Write(t, filepath.Join(state, "client.json"), string(text))
	t.Setenv("FENCELINE_NATS", "")
	t.Setenv("FENCELINE_STATE", state)
}
