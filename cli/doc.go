// Package cli has the operator's commands, and what all commands share. To be read in this order:
//
//   - execute.go: how a command line is carried out, and its exit status
//   - root.go: the list of all commands, and what is wrong with a line that names none of them
//   - flagerrors.go: which flag mends an error, or was meant
//   - connection.go: how a role or a person reaches NATS
//   - session.go, away.go: what an operator's command is given when it runs, and how it waits
//   - output.go: tables and JSON
//   - fleets.go: which fleet a command is about; fleets repair and fleets order
//
// Seeing what happens:
//
//   - status.go, failures.go, producers.go, producerclient.go, schedules.go: what is under way, what has failed, and what to do about it
//   - statuswait.go: status that waits until a build has come so far
//   - builds.go, buildshow.go: builds, builds show, cancel, retry
//   - nodes.go, nodeshow.go, retire.go: nodes, nodes show, nodes retire
//   - rollouts.go, rolloutshow.go: rollouts, rollouts show
//   - history.go: history
//   - trace.go: trace; package trace puts the chain together
//   - diff.go: diff, which package imagediff makes
//   - audit.go: audit
//   - graph.go: graph
//   - logs.go, watch.go, watchfetch.go, watchsilence.go: progress as it happens
//   - watchview.go, watchboard.go, watchkeys.go: watch on a terminal, what it shows, and what its keys decide
//   - deadletters.go: dead-letters
//   - console.go: console token, list and revoke
//   - plan.go, planpage.go: plan, which package plan makes
//
// Deciding:
//
//   - submit.go, dockerignore.go: submit, and what of a folder it sends
//   - decisions.go: rollback, promote, hold, release, approve, abort
//   - decisionevents.go: tells, as an event, of what was decided or refused
//   - config.go: config get and set
//
// Tools:
//
//   - init.go: init, for which package pki writes the files; install is in package install
//   - doctor.go, doctorchecks.go: doctor
//   - pollproblems.go: why pushes that nobody tells of are not found, for status
//   - bases.go: which bases can't be looked at, for status and doctor
//   - forgeproblems.go: why forges are not told of commits, for status and doctor
//   - sinks.go: sinks: what waits for them, and a try
//   - clock.go: how far clocks are off, for doctor, nodes and roles that run
//   - lint.go, schema.go: lint, and the schema of pipeline files for editors
//   - openapi.go: openapi, the document of what a producer serves
//   - render.go: render
//   - explainhook.go: explain-hook
//   - hook.go, hookspool.go: hook, and what it keeps while the producer is away
//   - notify.go: notify, and how a webhook is signed
//   - logger.go, version.go: what a role that runs logs to, and the version of all
package cli
