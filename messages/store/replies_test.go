package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What nobody but a decider may write, and what only some may.
var (
	decided = []string{
		"$KV.fenceline-fence.production.docker/image", "$KV.fenceline-fence.production", "$KV.fenceline-fleets.production",
		"$KV.fenceline-fleets.staging", "$KV.fenceline-fleets.lease.controllers", "$KV.fenceline-rollouts.production-x",
		"$KV.fenceline-members.production.n1", "$KV.fenceline-members.production.n3", "$KV.fenceline-nodes.production.n3",
		"$KV.fenceline-nodes.staging.n2", "fenceline.rollout.changed.v1.production.x", "fenceline.node.failed.v1.production.n3",
		"fenceline.trial.finished.v1.production.n3", "$KV.fenceline-fleets.production.1.fail.1.0.$FI",
		"$KV.fenceline-nodes.production.n3.1.fail.1.0.$FI",
	}
	ofNodes     = []string{"$KV.fenceline-nodes.production.n1", "fenceline.node.failed.v1.production.n1"}
	ofBuilders  = []string{"$KV.fenceline-builds.base-x", "fenceline.image.ready.v1.base.base-x", "fenceline.build.failed.v1.base.base-x"}
	ofProducers = []string{"fenceline.build.requested.v1.base", "$O.fenceline-contexts.M.x", "$O.fenceline-contexts.C.x", "$KV.fenceline-triggers.schedule.base.x"}
	// Requests of JetStream's own, which do something when an answer is sent there.
	requestsOf = []string{
		"$JS.API.STREAM.DELETE.fenceline-requests", "$JS.API.STREAM.PURGE.fenceline-requests", "$JS.API.STREAM.PURGE.KV_fenceline-fleets",
		"$JS.API.CONSUMER.DELETE.fenceline-requests.builders-build-requested-v1",
		"$JS.ACK.fenceline-requests.builders-build-requested-v1.1.1.1.1.0", "$JS.ACK.fenceline-events.controller-image-ready-v1.1.1.1.1.0",
	}
)

// asker is a user, what it may send, and where no answer to it may land.
type asker struct {
	name string
	may  store.Permissions
	not  []string
}

func askers() []asker {
	var s messages.Space
	return []asker{
		{"n1", store.NodePermissions(s, "production", "n1", "_INBOX_n1"), slices.Concat(decided, ofBuilders, ofProducers, requestsOf)},
		{"builder", store.BuilderPermissions(s, "_INBOX_builder"), slices.Concat(decided, ofNodes, ofProducers, requestsOf[:4], requestsOf[5:])},
		{"producer", store.ProducerPermissions(s, "_INBOX_producer"), slices.Concat(decided, ofNodes, requestsOf[len(requestsOf)-1:])},
		{"statuses", store.StatusPermissions(s, "_INBOX_statuses"), slices.Concat(decided, ofNodes, ofBuilders, ofProducers, requestsOf)},
	}
}

// bodies are what is sent: what a bucket stores, and what the interface of JetStream is asked.
var bodies = []string{
	`{"fleet":"production","node":"n1","image":"evil"}`, ``, `{}`, `{"seq":1}`, `{"seq":1,"next_by_subj":">","batch":3}`,
	`{"last_by_subj":"$KV.fenceline-builds.base-x"}`, `{"last_by_subj":"nothing"}`, `{"batch":2,"no_wait":true}`, "+WPI",
}

// landed sends each body to each subject that each user may send to, with each subject that it may not
// as reply, and returns what came to be written there.
func landed(t *testing.T, admin *queue.Client, urls []string, users []asker, bodies []string) []string {
	t.Helper()
	var found []string
	for i, u := range users {
		found = append(found, sent(t, admin, urls[i%len(urls)], u, bodies)()...)
	}
	return found
}

// sent is landed for one user, once it has sent all. What it returns looks at what came of it so far.
func sent(t *testing.T, admin *queue.Client, url string, u asker, bodies []string) (found func() []string) {
	t.Helper()
	before := state(t, admin)
	nc, err := nats.Connect(url, nats.UserInfo(u.name, "secret"), nats.Timeout(queuetest.TestTime), nats.CustomInboxPrefix("_INBOX_"+u.name),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	must(t, err)
	defer nc.Close()
	for _, allowed := range u.may.Publish {
		subject := strings.NewReplacer("image.ready.>", "image.ready.v1.base.base-1", ".M.>", ".M.y", ".C.>", ".C.y", "*", "v1",
			"requested.>", "requested.v1.other", "KV_fenceline-builds.>", "KV_fenceline-builds.$KV.fenceline-builds.base-x",
			"builds.>", "builds.base-1", ".>", ".v1.base.base-1").Replace(allowed)
		if strings.Contains(allowed, "PURGE") || strings.HasPrefix(allowed, "$JS.ACK") {
			subject = strings.Replace(allowed, ">", "1.1.1.1.0", 1)
		}
		for _, reply := range u.not {
			for _, body := range bodies {
				must(t, nc.PublishRequest(subject, reply, []byte(body)))
			}
		}
	}
	must(t, nc.FlushWithContext(within(t)))
	settle(t, admin)
	return func() (found []string) {
		after := state(t, admin)
		for subject, seq := range after {
			if before[subject] != seq && (slices.Contains(u.not, subject) || strings.HasPrefix(subject, gone)) {
				found = append(found, u.name+" has "+subject+" written")
			}
		}
		for subject := range before {
			if _, left := after[subject]; !left && slices.Contains(u.not, subject) {
				found = append(found, u.name+" has "+subject+" removed")
			}
		}
		return found
	}
}

// gone is what state says of a stream that is no longer there.
const gone = "no stream "

// settle waits until a server has answered what it was sent before.
func settle(t *testing.T, admin *queue.Client) {
	t.Helper()
	for i := range 5 {
		_, err := store.Builds(admin).Modify(within(t), "settle", func(r *messages.BuildRecord) error { r.Build, r.Attempt = "settle", i+1; return nil })
		must(t, err)
	}
}

// state is the sequence of the last message on each subject, and what consumers have had acknowledged.
func state(t *testing.T, admin *queue.Client) map[string]uint64 {
	t.Helper()
	js := queuetest.JetStream(t, admin)
	out := map[string]uint64{}
	for _, name := range []string{"fenceline-requests", "fenceline-events", "fenceline-reports", "fenceline-letters", "KV_fenceline-builds", "KV_fenceline-rollouts", "KV_fenceline-fleets",
		"KV_fenceline-members", "KV_fenceline-nodes", "KV_fenceline-fence", "OBJ_fenceline-contexts"} {
		s, err := js.Stream(within(t), name)
		if err != nil {
			out[gone+name] = 1
			continue
		}
		info, err := s.Info(within(t), jetstream.WithSubjectFilter(">"))
		if errors.Is(err, jetstream.ErrStreamNotFound) { // by an answer that lands as it is looked at
			out[gone+name] = 1
			continue
		}
		must(t, err)
		for subject := range info.State.Subjects {
			m, err := admin.Last(within(t), name, subject) // from the leader: others may be behind
			if errors.Is(err, queue.ErrUndeclared) || errors.Is(err, queue.ErrNotFound) {
				continue
			}
			must(t, err)
			out[subject] = m.Sequence
		}
		for c := range s.ListConsumers(within(t)).Info() {
			if c.Config.Durable != "" {
				out["$JS.ACK."+name+"."+c.Name+".1.1.1.1.0"] = c.AckFloor.Stream + uint64(c.NumAckPending)<<32
			}
		}
	}
	return out
}

// lasting is a layout whose heartbeats don't end while a test looks at what is removed.
func lasting(replicas int) store.Layout { return store.Layout{Replicas: replicas, NodeTTL: time.Hour} }

// furnish stores something on each protected subject, and has an event and a request in the hands of somebody.
func furnish(t *testing.T, admin *queue.Client, replicas int) {
	t.Helper()
	must(t, store.Declare(within(t), admin, lasting(replicas)))
	js := queuetest.JetStream(t, admin)
	for _, subject := range slices.Concat(decided, ofNodes, ofBuilders, ofProducers) {
		_, err := js.Publish(within(t), subject, []byte(`{"fleet":"production"}`))
		must(t, err)
	}
	for stream, durable := range map[string]string{"fenceline-requests": "builders-build-requested-v1", "fenceline-events": "controller-image-ready-v1"} {
		cfg := jetstream.ConsumerConfig{Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: store.DefaultAckWait, MaxDeliver: -1, MaxAckPending: 10_000}
		cfg.FilterSubject = map[string]string{"fenceline-requests": "fenceline.build.requested.v1.>", "fenceline-events": "fenceline.image.ready.v1.>"}[stream]
		c, err := js.CreateOrUpdateConsumer(within(t), stream, cfg)
		must(t, err)
		batch, err := c.Fetch(1)
		must(t, err)
		for range batch.Messages() {
		}
		must(t, batch.Error())
	}
}

func TestNoAnswerLandsWhereItsAskerMayNotWrite(t *testing.T) {
	s, as := guarded(t)
	admin := as("admin")
	furnish(t, admin, 1)
	if found := landed(t, admin, []string{s.URL()}, askers(), bodies); len(found) > 0 {
		t.Errorf("%d subjects are written for those who may not:\n%s", len(found), strings.Join(found, "\n"))
	}
}

// TestAnswersOfOneAccountLandAnywhere shows that the accounts are what keeps answers away, and that the
// test above can fail.
func TestAnswersOfOneAccountLandAnywhere(t *testing.T) {
	s := queuetest.Start(t, func(o *server.Options) {
		o.Users = append(o.Users, &server.User{Username: "admin", Password: "secret"})
		for _, u := range askers() {
			o.Users = append(o.Users, &server.User{Username: u.name, Password: "secret", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Allow: u.may.Publish}, Subscribe: &server.SubjectPermission{Allow: u.may.Subscribe},
			}})
		}
	})
	admin := s.Connect(t, queuetest.Credentials("admin"))
	furnish(t, admin, 1)
	for _, u := range askers() {
		look := sent(t, admin, s.URL(), u, bodies)
		eventually(t, u.name+" has subjects written in one account", func() bool { // an answer may come later than it is looked for
			found := look()
			for _, subject := range []string{decided[0], decided[2], "$KV.fenceline-members.production.n3"} {
				if has := u.name + " has " + subject; !slices.Contains(found, has+" written") && !slices.Contains(found, has+" removed") {
					return false
				}
			}
			return true
		})
	}
}

func TestNoAnswerLandsElsewhereInACluster(t *testing.T) {
	servers := cluster(t, 3)
	admin := servers[0].Connect(t, queuetest.Credentials("admin"))
	eventually(t, "the cluster takes streams of three copies", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // what is asked before there is a leader gets no answer
		defer cancel()
		return store.Declare(ctx, admin, lasting(3)) == nil
	})
	furnish(t, admin, 3)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL())
	}
	for turn := range urls { // each user at each server
		if found := landed(t, admin, urls, askers(), bodies[:2+turn]); len(found) > 0 {
			t.Errorf("%d subjects are written for those who may not, at turn %d:\n%s", len(found), turn, strings.Join(found, "\n"))
		}
		urls = append(urls[1:], urls[0])
	}
	for _, s := range servers {
		node := store.NewNode(s.Connect(t, queuetest.Credentials("n1")))
		must(t, node.Heartbeat(within(t), &messages.NodeStatus{Fleet: "production", Node: "n1", Beat: 1}))
		_, err := node.ReadFleet(within(t), "production")
		must(t, err)
	}
}

// cluster starts a cluster of servers with the accounts of Guarded.
func cluster(t *testing.T, n int) []*queuetest.Server {
	t.Helper()
	ports := make([]int, n)
	var routes []string
	for i := range ports { // each must know the others before they are there
		ports[i] = queuetest.Port(t)
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
	}
	var out []*queuetest.Server
	for i, port := range ports {
		out = append(out, queuetest.Start(t, func(o *server.Options) {
			queuetest.Guard(t, o)
			o.ServerName, o.Cluster = fmt.Sprintf("s%d", i), server.ClusterOpts{Name: "fenceline", Host: "127.0.0.1", Port: port}
			o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
		}))
	}
	return out
}

// TestANodeIsAddedToARunningServer has a server read its configuration again with one more node. nats-server
// 2.15 makes the imports of an account that a reload brings at the next reload: docs/deployment.md says so.
func TestANodeIsAddedToARunningServer(t *testing.T) {
	file, dir := filepath.Join(t.TempDir(), "nats.conf"), t.TempDir()
	write := func(more ...store.User) {
		conf := fmt.Sprintf("server_name: queuetest\nlisten: 127.0.0.1:-1\njetstream {store_dir: %q}\n%s", dir, queuetest.GuardConfig(t, more...))
		must(t, os.WriteFile(file, []byte(conf), 0o600))
	}
	write()
	s := queuetest.Start(t, func(o *server.Options) {
		read, err := server.ProcessConfigFile(file)
		must(t, err)
		*o = *read
		o.NoLog, o.NoSigs = true, true
	})
	as := func(user string) *queue.Client { return s.Connect(t, queuetest.Credentials(user)) }
	controller, first := as("controller"), store.NewNode(as("n1"))
	must(t, store.Declare(within(t), controller, store.Layout{}))
	fleetRecord(t, controller, "production")
	write(store.User{Name: "n4", May: store.NodePermissions(messages.Space{}, "production", "n4", "_INBOX_n4")})
	for range 2 {
		must(t, s.Server().Reload())
	}
	for name, node := range map[string]*store.Node{"n4": store.NewNode(as("n4")), "n1": first} {
		_, err := node.ReadFleet(within(t), "production")
		must(t, err)
		must(t, node.Heartbeat(within(t), &messages.NodeStatus{Fleet: "production", Node: name}))
	}
	f, err := store.Fleets(controller).Get(within(t), "production")
	must(t, err)
	_, err = store.Fleets(controller).Update(within(t), "production", f.Value, f.Revision)
	must(t, err)
}

// TestAConsolesAnswersLandAnywhere: it is in the account of those who decide, so that whoever has its password may have everything
// written and removed there, whatever its permissions say. docs/console.md says so.
func TestAConsolesAnswersLandAnywhere(t *testing.T) {
	s, as := guarded(t)
	admin := as("admin")
	furnish(t, admin, 1)
	of := asker{"console", store.Permissions{Publish: []string{"$KV.fenceline-fleets.mine", "$JS.API.DIRECT.GET.KV_fenceline-fleets"}}, []string{decided[0], requestsOf[0]}}
	look := sent(t, admin, s.URL(), of, []string{"", `{"last_by_subj":"$KV.fenceline-fleets.mine"}`})
	eventually(t, "the fence config is written, and a stream is gone", func() bool {
		found := look()
		return slices.Contains(found, "console has "+decided[0]+" written") && slices.Contains(found, "console has "+gone+"fenceline-requests written")
	})
}
