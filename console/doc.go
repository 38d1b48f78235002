// Package console is the role the console: the web page of an installation. It shows what the command line shows, of
// the same records by the same code (package overview), and takes the decisions of people who have signed in, by the code that
// the command line calls (package people). Pages are whole as they are served, and forms work without a script; a small
// script puts changes in their place, which come by server-sent events.
//
// The files, in reading order:
//
//	console.go     what a console needs, and where its pages are: Config, New, Run, Ready, Handler
//	headers.go     what keeps browsers strict, and requests bounded
//	sessions.go    who is signed in: Person, sessions, links that sign in once
//	signin.go      signing in and out; who may see, and who may decide
//	tries.go       how often sign-ins are tried
//	seen.go        what the watches have seen of records and heartbeats, and what of it has changed
//	sideline.go    builds and dead letters
//	buildlist.go   the builds that have ended, in short
//	buildsteps.go  which step builds are at that run
//	buildfollow.go logs of builds, each read once for all pages that show it
//	cells.go       a node as a cell of its fleet's page
//	pages.go       templates, the script and the style; what every page shows
//	parts.go       parts of pages that are made once for all who look
//	live.go        streams of changes
//	fleetspage.go  the first page: every fleet, what moves, and what needs a person
//	fleetpage.go   a fleet and its nodes, filtered, page by page
//	nodepage.go    a node
//	rolloutpage.go a rollout
//	buildspage.go  the queue, what runs, and what has ended
//	durations.go   pictures of how long builds took
//	buildpage.go   a build, and its log
//	preview.go     what a decision will do
//	actions.go     decisions carried out
//	buildactions.go decisions about builds
package console
