package settings

import (
	"os"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
)

// The roles that run by themselves, as `fenceline run` names them.
const (
	RoleProducer    = "producer"
	RoleBuilder     = "builder"
	RoleController  = "controller"
	RoleDistributor = "distributor"
	RoleStatuses    = "statuses"
	RoleConsole     = "console"
)

// Everything names the settings of `fenceline up`, which runs all roles.
const Everything = "up"

// Roles lists the roles that run by themselves.
func Roles() []string {
	return []string{RoleProducer, RoleBuilder, RoleController, RoleDistributor, RoleStatuses, RoleConsole}
}

// CheckRole refuses what is no role.
func CheckRole(role string) error {
	if !slices.Contains(Roles(), role) {
		return Usagef("there is no role %q%s: name producer, builder, controller, distributor, statuses or console", role, suggest.DidYouMean(role, Roles()))
	}
	return nil
}

// The users of NATS that `fenceline init` makes: people, and a role each. A distributor's is named
// after its node, FLEET.NODE; that of `fenceline up`, which has one node, is UserNode.
const (
	UserOperator   = "operator"
	UserProducer   = RoleProducer
	UserBuilder    = RoleBuilder
	UserController = RoleController
	UserStatuses   = RoleStatuses
	UserConsole    = RoleConsole
	UserNode       = "node"
)

// Inbox is the prefix of the inboxes that a role's user may read.
func Inbox(user string) string { return "_INBOX_" + user }

// NodeInbox is the prefix of a node's inboxes, which only that node may read.
func NodeInbox(fleet, node string) string { return "_INBOX_" + fleet + "_" + node }

// InboxOf is the prefix of the inboxes that one of init's users may read; "" is NATS's own,
// which an operator and users of other names have.
func InboxOf(user string) string {
	switch user {
	case UserProducer, UserBuilder, UserController, UserStatuses, UserConsole:
		return Inbox(user)
	}
	if fleet, node, err := messages.ParseNodeKey(user); err == nil {
		return NodeInbox(fleet, node)
	}
	return ""
}

// StateVariable names the variable that says where the state folder of `fenceline up` is.
const StateVariable = "FENCELINE_STATE"

// StateFolder is the state folder where no flag names one.
func StateFolder() string {
	if d := os.Getenv(StateVariable); d != "" {
		return d
	}
	return ".fenceline"
}

// HostLabel is this machine's name as a DNS label, for names of nodes and workers.
func HostLabel() string {
	name, err := os.Hostname()
	if err != nil {
		return "node"
	}
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
	if name = strings.Trim(name[:min(len(name), 63)], "-"); name == "" {
		return "node"
	}
	return name
}
