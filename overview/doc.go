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
//   - clock.go: clocks that are off
//   - text.go: images, times and numbers in short
package overview
