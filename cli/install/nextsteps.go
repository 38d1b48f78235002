package install

import (
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/cli/settings"
)

// nextSteps are what install leaves to people.
func nextSteps(role string) string {
	user, file := userOf(role), settingsPath(role)
	of := role
	if role == settings.RoleDistributor {
		of = "FLEET.NODE"
	}
	steps := []string{
		"fill in " + file,
		fmt.Sprintf("put the NATS password, which fenceline init wrote into the file %s, into one that is %s's alone already:\n     cat %s > %s", of, user, of, passwordPath(role)),
	}
	switch role {
	case settings.RoleProducer:
		steps = append(steps, fmt.Sprintf("write %s/fenceline.yaml and name it with config; give the files of webhooks' secrets to %s:\n     chown %s FILE", settingsFolder, user, user))
	case settings.RoleStatuses:
		steps = append(steps, fmt.Sprintf("copy the producer's %s/fenceline.yaml, with its status sections, and name it with config; give the files of tokens to %s:\n     chown %s FILE", settingsFolder, user, user))
	case settings.RoleConsole:
		steps = append(steps, fmt.Sprintf("make a token for each person, in the file that console-tokens-file names, and let %s read it:\n     fenceline console token NAME --role operator --console-tokens-file %s/console-tokens\n     chown %s %s/console-tokens", user, settingsFolder, user, settingsFolder))
	case settings.RoleBuilder:
		steps = append(steps, fmt.Sprintf("let it reach buildkitd: in buildkitd.toml, under [grpc], gid = the number that this prints:\n     id -g %s", user))
	}
	steps = append(steps,
		fmt.Sprintf("check it:\n     runuser -u %s -- fenceline doctor %s --settings %s", user, role, file),
		"start it, now and at each boot:\n     systemctl enable --now "+user)
	var b strings.Builder
	b.WriteString("\nNext:\n")
	for i, s := range steps {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, s)
	}
	return b.String()
}
