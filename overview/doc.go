// Package overview is what people are shown of an installation: its fleets, nodes and builds, what is
// wrong with them, and what to do about it. The command line and the console make their texts and pages
// of it, so that both say the same. To be read in this order:
//
//   - nodes.go: a node, what it does, and what is wrong with it
//   - fleets.go: a fleet in short: its nodes counted, what moves, what failed, what is wrong
//   - builds.go: a build, how far it is, and why
//   - recentbuilds.go: the newest builds, and those that have not ended
//   - expected.go: the queue: places, and when builds are likely to begin and to end
//   - onebuild.go: all that is known of one build, and where its commit is shown
//   - failures.go: why a build failed, and what to do
//   - buildlog.go: a build's log folded into its steps
//   - deadletters.go: how many dead letters are no part of a build that is shown
//   - images.go: the images that the records know, and the words that mean one
//   - letters.go: a dead letter, and what its message says
//   - history.go: what a fleet's fence config was, and how to go back to it
//   - told.go: what controllers, people and nodes told of rollouts
//   - course.go: what is known of a rollout beside its record
//   - steps.go: the steps of a rollout, with their moments
//   - decisions.go: who decided what about a rollout, and which holds lay over it
//   - clock.go: clocks that are off
//   - text.go: images, times and numbers in short
package overview
