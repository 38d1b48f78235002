package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// toFillIn are the settings that every installation has to give: placeholders, which no server and
// no fleet is called, so that a file that nobody filled in is told from one that works.
func toFillIn(role string) map[string]string {
	fill := map[string]string{"nats": "nats://CORE:4222", "user": role, "password-file": role + ".password"}
	if role == roleDistributor {
		fill["user"], fill["fleet"] = "FLEET.NODE", "FLEET"
	}
	return fill
}

// settingsSkeleton is a settings file of a role with all that there is: what is needed to fill in,
// and the rest as comments.
func settingsSkeleton(role string) (string, error) {
	cmd, _, err := newRootCmd().Find([]string{"run", role})
	if err != nil {
		return "", err
	}
	fill := toFillIn(role)
	var needs, rest strings.Builder
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		switch value, ok := fill[f.Name]; {
		case f.Name == settingsKey || f.Name == "help":
		case ok:
			fmt.Fprintf(&needs, "\n# %s\n%s: %s\n", meaning(f), f.Name, value)
		default:
			rest.WriteString(commented(f))
		}
	})
	return fmt.Sprintf(`# Settings of 'fenceline run %s'. Each line is a flag of it, which would win over the line here.
# Paths count from this folder. Check it with: fenceline doctor %s --settings %s
`, role, role, settingsPath(role)) + needs.String() + "\n# What can be left out:\n" + rest.String(), nil
}

// commented is a setting as a comment, with its default, or with what is to be written there.
func commented(f *pflag.Flag) string {
	value, words := defaultOf(f)
	text := meaning(f)
	if words != "" {
		text += " (default: " + words + ")"
	}
	if value == "" {
		value = strings.ToUpper(f.Value.Type())
		switch f.Value.Type() {
		case "string":
			value = "TEXT"
		case "stringSlice":
			value = "[HOST:PORT]"
		case labels{}.Type():
			value = "{NAME: VALUE}"
		}
	}
	return fmt.Sprintf("\n# %s\n#%s: %s\n", text, f.Name, value)
}

// nextSteps are what install leaves to people.
func nextSteps(role string) string {
	user, settings := userOf(role), settingsPath(role)
	of := role
	if role == roleDistributor {
		of = "FLEET.NODE"
	}
	steps := []string{
		"fill in " + settings,
		fmt.Sprintf("put the NATS password, which fenceline init wrote into the file %s, into one that is %s's alone already:\n     cat %s > %s", of, user, of, passwordPath(role)),
	}
	switch role {
	case userProducer:
		steps = append(steps, fmt.Sprintf("write %s/fenceline.yaml and name it with config; give the files of webhooks' secrets to %s:\n     chown %s FILE", settingsFolder, user, user))
	case userBuilder:
		steps = append(steps, fmt.Sprintf("let it reach buildkitd: in buildkitd.toml, under [grpc], gid = the number that this prints:\n     id -g %s", user))
	}
	steps = append(steps,
		fmt.Sprintf("check it:\n     runuser -u %s -- fenceline doctor %s --settings %s", user, role, settings),
		"start it, now and at each boot:\n     systemctl enable --now "+user)
	var b strings.Builder
	b.WriteString("\nNext:\n")
	for i, s := range steps {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, s)
	}
	return b.String()
}
