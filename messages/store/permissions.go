package store

import (
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Permissions are the subjects that a NATS user may publish and subscribe to. They are in
// the form of nats-server's allow lists.
type Permissions struct{ Publish, Subscribe []string }

// NodePermissions are a node's, and no more than a node needs: to read its fleet's record
// and hear of its changes, to store its own heartbeat, to report its own failures and
// trials, to get answers in its own inbox. Inbox is the client's Options.InboxPrefix and must
// be the node's own.
func NodePermissions(s messages.Space, fleet, node, inbox string) Permissions {
	record := "$KV." + s.FleetsBucket() + "." + fleet
	return Permissions{
		Publish: []string{
			"$JS.API.DIRECT.GET.KV_" + s.FleetsBucket() + "." + record,
			"$KV." + s.NodesBucket() + "." + messages.NodeKey(fleet, node),
			s.AnyVersion(messages.TypeNodeFailed, fleet, node),
			s.AnyVersion(messages.TypeTrialFinished, fleet, node),
		},
		Subscribe: []string{s.AnyVersion(messages.TypeFleetChanged, fleet), inbox + ".>"},
	}
}

// ProducerPermissions are a producer's: to accept requests, to store contexts, to keep what triggers have led to, to
// sweep, and to read everything. It may make no consumer and no stream: whoever does says where messages go, with the
// rights of the server.
func ProducerPermissions(s messages.Space, inbox string) Permissions {
	p := Permissions{Publish: []string{"$JS.API.INFO"}, Subscribe: []string{inbox + ".>"}}
	for _, stream := range all(s) {
		p.add(ask(stream))
	}
	for _, t := range messages.TypeBuildRequested.Versions() {
		p.add([]string{"$JS.API.CONSUMER.INFO." + s.RequestsStream() + "." + queue.Durable(Builders, t)})
	}
	for _, c := range StatusConsumers(s) {
		p.add([]string{"$JS.API.CONSUMER.INFO." + c.Stream + "." + queue.Durable(c.Name, c.Type)})
	}
	p.add(contexts(s))
	p.add([]string{s.RequestSubjects()[0], "$KV." + s.BuildsBucket() + ".>", "$KV." + s.TriggersBucket() + ".>", "$KV." + s.CallsBucket() + ".>"})
	p.add(events(s, messages.TypeBuildFailed, messages.TypeBuildSuperseded, messages.TypeBuildCancelled, messages.TypeImageReady,
		messages.TypeCallsAudited, messages.TypeRefusalsCounted))
	p.add([]string{"$JS.API.STREAM.PURGE." + s.RequestsStream(), "$JS.API.STREAM.PURGE.KV_" + s.BuildsBucket()})
	p.add([]string{"$JS.API.STREAM.PURGE." + s.LettersStream()}) // of builds that are asked for again, or forgotten
	return p
}

// BuilderPermissions are a builder's: to take requests, and see which came after them, to write build records, events of
// builds and logs, and to read contexts. The consumers that it takes requests from are declared.
func BuilderPermissions(s messages.Space, inbox string) Permissions {
	p := Permissions{Subscribe: []string{inbox + ".>"}}
	p.add([]string{"$JS.API.INFO"})
	p.add(ask(s.RequestsStream()))
	p.add(ask("KV_" + s.BuildsBucket()))
	p.add(ask("OBJ_" + s.ContextsStore()))
	for _, t := range append(messages.TypeBuildRequested.Versions(), nextVersions(messages.TypeBuildRequested)...) {
		shared := s.RequestsStream() + "." + queue.Durable(Builders, t) // not to be deleted: others count on it
		p.add([]string{
			"$JS.API.CONSUMER.INFO." + shared,
			"$JS.API.CONSUMER.MSG.NEXT." + shared,
			"$JS.ACK." + shared + ".>",
		})
	}
	p.add([]string{"$KV." + s.BuildsBucket() + ".>"})
	p.add(events(s, messages.TypeBuildStarted, messages.TypeBasePinned, messages.TypeBuildFailed, messages.TypeBuildSuperseded,
		messages.TypeBuildCancelled, messages.TypeImageReady, messages.TypeBuildLog, messages.TypeDeadLetter))
	return p
}

// StatusPermissions are those of who tells forges and sinks: to take hints from consumers that are declared, to read events,
// requests and the records of builds and rollouts, to keep what it told, and as dead letters what sinks don't take. It may write nothing that
// anybody acts on by themselves.
func StatusPermissions(s messages.Space, inbox string) Permissions {
	p := Permissions{Publish: []string{"$JS.API.INFO"}, Subscribe: []string{inbox + ".>"}}
	for _, bucket := range []string{s.BuildsBucket(), s.RolloutsBucket(), s.StatusesBucket()} {
		p.add(ask("KV_" + bucket))
	}
	// A request, by its sequence, which a build's record is held against.
	p.add([]string{"$JS.API.STREAM.INFO." + s.RequestsStream(), "$JS.API.STREAM.MSG.GET." + s.RequestsStream()})
	for _, c := range statusConsumers(s, func(t messages.Type) []messages.Type { return append(t.Versions(), nextVersions(t)...) }) {
		shared := c.Stream + "." + queue.Durable(c.Name, c.Type)
		p.add([]string{"$JS.API.CONSUMER.INFO." + shared, "$JS.API.CONSUMER.MSG.NEXT." + shared, "$JS.ACK." + shared + ".>"})
	}
	p.add([]string{"$KV." + s.StatusesBucket() + ".>"})
	for _, stream := range SinkStreams(s) {
		p.add([]string{"$JS.API.STREAM.INFO." + stream, "$JS.API.DIRECT.GET." + stream})
	}
	p.add([]string{s.AnyVersion(messages.TypeDeadLetter, s.SinksStream(), "*")})
	return p
}

// ControllerPermissions are a controller's: to declare the layout, to consume events, to
// write rollouts, fleets, members and the fence config, to drop old rollouts, to tell nodes, and to hear and
// answer what operators ask of the fence config.
func ControllerPermissions(s messages.Space, inbox string) Permissions {
	p := reader(s, inbox)
	p.add(declarer(s))
	for _, bucket := range []string{s.RolloutsBucket(), s.FleetsBucket(), s.MembersBucket(), s.FenceBucket()} {
		p.add([]string{"$KV." + bucket + ".>"})
	}
	p.add([]string{"$JS.ACK." + s.EventsStream() + ".>", "$JS.API.STREAM.PURGE.KV_" + s.RolloutsBucket()})
	p.add(events(s, messages.TypeRolloutChanged, messages.TypeDeadLetter, messages.TypeFleetChanged, messages.TypeFenceAnswered))
	p.Subscribe = append(p.Subscribe, s.AnyVersion(messages.TypeFenceAsked))
	return p
}

// ConsolePermissions are a console's: to read everything, to write what people decide about fleets, rollouts and builds, and to tell
// of it; to retire nodes, which deletes their heartbeat and membership; and to requeue and drop dead letters.
func ConsolePermissions(s messages.Space, inbox string) Permissions {
	p := reader(s, inbox)
	p.add([]string{"$KV." + s.RolloutsBucket() + ".*", "$KV." + s.FleetsBucket() + ".*"}) // a record each; the controllers' lease is deeper
	p.add([]string{"$KV." + s.BuildsBucket() + ".*"})                                     // to cancel a build; what workers say of themselves is deeper
	p.add([]string{"$KV." + s.MembersBucket() + ".*.*", "$KV." + s.NodesBucket() + ".*.*"})
	p.add(events(s, messages.TypeRolloutChanged, messages.TypeFleetChanged, messages.TypeDecisionMade, messages.TypeBuildCancelled))
	p.add([]string{"$JS.API.STREAM.PURGE." + s.LettersStream()}) // also of a build that is asked for again
	p.add(requeued(s))
	return p
}

// requeued is what sending dead letters again takes, of all that is buried: build requests, events that somebody acts on, reports
// of nodes, and what sinks were not told. An outcome takes the place of the one that it repeats.
func requeued(s messages.Space) []string {
	out := append(events(s, ControllerEvents...), events(s, messages.TypeNodeFailed, messages.TypeTrialFinished, messages.TypeEventUndelivered)...)
	return append(out, s.RequestSubjects()[0], "$JS.API.STREAM.PURGE."+s.EventsStream())
}

// OperatorPermissions are a person's: everything of the installation but to acknowledge what
// a builder has taken. The heartbeats are for retiring a node, which deletes its last.
func OperatorPermissions(s messages.Space, inbox string) Permissions {
	p := ControllerPermissions(s, inbox)
	more := ProducerPermissions(s, inbox)
	p.add(more.Publish)
	p.add([]string{"$KV." + s.NodesBucket() + ".>"})
	p.add(requeued(s))
	p.add(events(s, messages.TypeFenceAsked, messages.TypeDecisionMade))
	p.Subscribe = append(p.Subscribe, s.Prefix()+".>")
	return p
}

func (p *Permissions) add(publish []string) { p.Publish = append(p.Publish, publish...) }

// events are the subjects of types in all their versions: an upgrade needs no new credentials,
// as the credential says what its holder may tell, not by which program.
func events(s messages.Space, types ...messages.Type) []string {
	var out []string
	for _, t := range types {
		out = append(out, s.AnyVersion(t))
	}
	return out
}

// ask is what reading a stream or the stream of a bucket takes, by asking for its messages.
func ask(stream string) []string {
	return []string{
		"$JS.API.STREAM.INFO." + stream,
		"$JS.API.STREAM.MSG.GET." + stream,
		"$JS.API.DIRECT.GET." + stream, "$JS.API.DIRECT.GET." + stream + ".>",
	}
}

// read is what reading takes, by consumers too. A consumer is made with the subject that it delivers
// to: who may make one may have the messages of the stream written anywhere in the account.
func read(stream string) []string {
	return append(ask(stream),
		"$JS.API.CONSUMER.CREATE."+stream+".>",
		"$JS.API.CONSUMER.DELETE."+stream+".>",
		"$JS.API.CONSUMER.INFO."+stream+".>",
		"$JS.API.CONSUMER.MSG.NEXT."+stream+".>",
		"$JS.FC."+stream+".>",
	)
}

// Streams lists the installation's streams, those below its buckets included.
func Streams(s messages.Space) []string { return all(s) }

// all is Streams.
func all(s messages.Space) []string {
	out := []string{s.RequestsStream(), s.EventsStream(), s.ReportsStream(), s.LettersStream(), s.LogsStream(), s.AuditStream(), s.RefusalsStream(), s.DecisionsStream(), s.SinksStream(), "OBJ_" + s.ContextsStore()}
	for _, b := range []string{s.BuildsBucket(), s.RolloutsBucket(), s.FleetsBucket(), s.MembersBucket(), s.NodesBucket(), s.FenceBucket(), s.StatusesBucket(), s.TriggersBucket(), s.CallsBucket()} {
		out = append(out, "KV_"+b)
	}
	return out
}

func reader(s messages.Space, inbox string) Permissions {
	p := Permissions{Publish: []string{"$JS.API.INFO"}, Subscribe: []string{inbox + ".>"}}
	for _, stream := range all(s) {
		p.add(read(stream))
	}
	return p
}

func declarer(s messages.Space) []string {
	var out []string
	for _, stream := range all(s) {
		out = append(out, "$JS.API.STREAM.CREATE."+stream)
	}
	// What other streams have taken over from it.
	return append(out, "$JS.API.STREAM.UPDATE."+s.EventsStream(), "$JS.API.STREAM.PURGE."+s.EventsStream())
}

func contexts(s messages.Space) []string {
	name := s.ContextsStore()
	return []string{
		"$O." + name + ".C.>", "$O." + name + ".M.>",
		"$JS.API.STREAM.PURGE.OBJ_" + name,
	}
}
