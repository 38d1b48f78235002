package store

import (
	"context"
	"slices"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// A record of another name than its key is refused as one that can't be read: a credential is confined to
// keys, and who reads must not take one's word for another's.

// Builds has a record for each claimed build, by its ID.
func Builds(c *queue.Client) *queue.Records[messages.BuildRecord] {
	return buildRecords(c, "*")
}

// Build is Builds for one of them alone: to watch it costs nothing for the others.
func Build(c *queue.Client, build string) *queue.Records[messages.BuildRecord] {
	return buildRecords(c, build)
}

func buildRecords(c *queue.Client, keys string) *queue.Records[messages.BuildRecord] {
	return queue.NewRecords[messages.BuildRecord](c, c.Space().BuildsBucket(), keys).
		Named(func(r messages.BuildRecord) string { return r.Build })
}

// Beats has the last sign of life of the worker that has a build, for each that is being built, by its ID.
func Beats(c *queue.Client) *queue.Records[messages.BuildBeat] {
	return queue.NewRecords[messages.BuildBeat](c, c.Space().BuildsBucket(), "beat.*")
}

// BeatKey is the key in Beats of a build.
func BeatKey(build string) string { return "beat." + build }

// Calls has what is known of a call with an Idempotency-Key, by a digest of the key and of whose it is.
func Calls(c *queue.Client) *queue.Records[messages.KeyedCall] {
	return queue.NewRecords[messages.KeyedCall](c, c.Space().CallsBucket(), "*")
}

// Rollouts has a record for each rollout, by its ID.
func Rollouts(c *queue.Client) *queue.Records[messages.RolloutRecord] {
	return Rollout(c, "*")
}

// Rollout is Rollouts for one of them alone.
func Rollout(c *queue.Client, id string) *queue.Records[messages.RolloutRecord] {
	return queue.NewRecords[messages.RolloutRecord](c, c.Space().RolloutsBucket(), id).
		Named(func(r messages.RolloutRecord) string { return r.ID })
}

// Fleets has a record for each fleet, by its name.
func Fleets(c *queue.Client) *queue.Records[messages.FleetRecord] {
	return Fleet(c, "*")
}

// Fleet is Fleets for one of them alone.
func Fleet(c *queue.Client, name string) *queue.Records[messages.FleetRecord] {
	return queue.NewRecords[messages.FleetRecord](c, c.Space().FleetsBucket(), name).
		Named(func(r messages.FleetRecord) string { return r.Fleet })
}

// Members has an entry for each member, by its messages.NodeKey.
func Members(c *queue.Client) *queue.Records[messages.Member] {
	return queue.NewRecords[messages.Member](c, c.Space().MembersBucket(), "*.*").
		Named(func(m messages.Member) string { return messages.NodeKey(m.Fleet, m.Node) })
}

// Nodes has the last heartbeat of each node that lives, by its messages.NodeKey.
func Nodes(c *queue.Client) *queue.Records[messages.NodeStatus] {
	return queue.NewRecords[messages.NodeStatus](c, c.Space().NodesBucket(), "*.*").
		Named(func(s messages.NodeStatus) string { return messages.NodeKey(s.Fleet, s.Node) })
}

// ForgeStatuses has what the forge was told last of each commit, by its messages.ForgeStatusKey.
func ForgeStatuses(c *queue.Client) *queue.Records[messages.ForgeStatus] {
	return queue.NewRecords[messages.ForgeStatus](c, c.Space().StatusesBucket(), "told.*.*").
		Named(func(s messages.ForgeStatus) string { return messages.ForgeStatusKey(s.Pipeline, s.Commit) })
}

// ForgeProblems has what keeps each pipeline's statuses from its forge, by its messages.ForgeProblemKey.
func ForgeProblems(c *queue.Client) *queue.Records[messages.ForgeProblem] {
	return queue.NewRecords[messages.ForgeProblem](c, c.Space().StatusesBucket(), "problem.*").
		Named(func(p messages.ForgeProblem) string { return messages.ForgeProblemKey(p.Pipeline) })
}

// Sinks has how far each sink has been sent what happens, by its messages.SinkKey.
func Sinks(c *queue.Client) *queue.Records[messages.SinkRecord] {
	return queue.NewRecords[messages.SinkRecord](c, c.Space().StatusesBucket(), "sink.*").
		Named(func(r messages.SinkRecord) string { return messages.SinkKey(r.Sink) })
}

// Polls has what was seen last of each repository that is polled, by its messages.PollKey.
func Polls(c *queue.Client) *queue.Records[messages.RepositoryPoll] {
	return queue.NewRecords[messages.RepositoryPoll](c, c.Space().TriggersBucket(), "poll.*").
		Named(func(p messages.RepositoryPoll) string { return messages.PollKey(p.Repository, p.TokenName) })
}

// RefusedFiles has why producers can't use their pipeline files as they are, by its messages.RefusedFileKey.
func RefusedFiles(c *queue.Client) *queue.Records[messages.RefusedFile] {
	return queue.NewRecords[messages.RefusedFile](c, c.Space().TriggersBucket(), "file.*").
		Named(func(f messages.RefusedFile) string { return messages.RefusedFileKey(f.Producer, f.Path) })
}

// Schedules has what producers share of each schedule, by its messages.ScheduleKey.
func Schedules(c *queue.Client) *queue.Records[messages.ScheduleRecord] {
	return queue.NewRecords[messages.ScheduleRecord](c, c.Space().TriggersBucket(), "schedule.*.*")
}

// BaseLooks has what was seen last of each base image that pipelines follow, by its messages.BaseKey.
func BaseLooks(c *queue.Client) *queue.Records[messages.BaseLook] {
	return queue.NewRecords[messages.BaseLook](c, c.Space().TriggersBucket(), "base.*").
		Named(func(l messages.BaseLook) string { return messages.BaseKey(l.Source) })
}

// ForgeOwed has the commits of which forges are still to be told, by their messages.ForgeOwedKey.
func ForgeOwed(c *queue.Client) *queue.Records[messages.ForgeOwed] {
	return queue.NewRecords[messages.ForgeOwed](c, c.Space().StatusesBucket(), "owed.*.*").
		Named(func(o messages.ForgeOwed) string { return messages.ForgeOwedKey(o.Pipeline, o.Commit) })
}

// MembersOf lists a fleet's members, sorted: by the records' keys.
func MembersOf(ctx context.Context, c *queue.Client, fleet string) ([]string, error) {
	all, err := Members(c).List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range all {
		if f, node, err := messages.ParseNodeKey(e.Key); err == nil && f == fleet {
			out = append(out, node)
		}
	}
	slices.Sort(out)
	return out, nil
}
