package store

import (
	"context"
	"slices"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// Builds has a record for each claimed build, by its ID.
func Builds(c *queue.Client) *queue.Records[messages.BuildRecord] {
	return queue.NewRecords[messages.BuildRecord](c, c.Space().BuildsBucket(), "*")
}

// Rollouts has a record for each rollout, by its ID.
func Rollouts(c *queue.Client) *queue.Records[messages.RolloutRecord] {
	return queue.NewRecords[messages.RolloutRecord](c, c.Space().RolloutsBucket(), "*")
}

// Fleets has a record for each fleet, by its name.
func Fleets(c *queue.Client) *queue.Records[messages.FleetRecord] {
	return queue.NewRecords[messages.FleetRecord](c, c.Space().FleetsBucket(), "*")
}

// Members has an entry for each member, by its messages.NodeKey.
func Members(c *queue.Client) *queue.Records[messages.Member] {
	return queue.NewRecords[messages.Member](c, c.Space().MembersBucket(), "*.*")
}

// Nodes has the last heartbeat of each node that lives, by its messages.NodeKey.
func Nodes(c *queue.Client) *queue.Records[messages.NodeStatus] {
	return queue.NewRecords[messages.NodeStatus](c, c.Space().NodesBucket(), "*.*")
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
