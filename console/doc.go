// Package console is the role the console: the web page of an installation. It shows what the command line shows, of
// the same records by the same code (package overview), and takes the decisions of people who have signed in, by the code that
// the command line calls (package people). Pages are whole as they are served, and forms work without a script; a small
// script puts changes in their place, which come by server-sent events.
//
// The files, in reading order:
//
//	console.go     what a console needs, and where its pages are: Config, New, Run, Ready, Handler
//	headers.go     what keeps browsers strict, and requests bounded
//	traced.go      the trace of a request, in the log and on pages that say what is wrong
//	sessions.go    who is signed in: Person, sessions, links that sign in once
//	endings.go     why sessions end
//	signin.go      signing in and out; who may see, and who may decide
//	oidcsignin.go  signing in by an OpenID Connect provider
//	tries.go       how often sign-ins are tried
//	seen.go        what the watches have seen of records and heartbeats, and what of it has changed
//	kept.go        what is kept of heartbeats
//	sideline.go    builds and dead letters
//	buildlist.go   the builds that have ended, in short
//	buildsteps.go  which step builds are at that run
//	buildfollow.go logs of builds, each read once for all pages that show it
//	cells.go       a node as a cell of its fleet's page
//	pages.go       templates, the script and the style; what every page shows
//	parts.go       parts of pages that are made once for all who look
//	live.go        streams of changes
//	viewers.go     how many of them a person may have
//	makers.go      how many large pages are made at one time
//	fleetspage.go  the first page: every fleet, what moves, and what needs a person
//	fleetpage.go   a fleet and its nodes, filtered, page by page
//	nodepage.go    a node
//	buildspage.go  the queue, what runs, and what has ended
//	durations.go   pictures of how long builds took
//	buildpage.go   a build, and its log
//	rolloutpage.go a rollout, running or past
//	courses.go     what pages show beside what is watched: read when records change, once for all who look
//	curve.go       how many members had an image over time, as a picture
//	members.go     a rollout's waves and members
//	historypage.go what was current in a fleet, and its rollouts
//	letterspage.go dead letters
//	diffs.go       images that are compared: a few at a time, each two once
//	diffpage.go    how two images differ
//	paging.go      pages of lists
//	actions.go     decisions: asked for, and carried out
//	preview.go     the page that says what a decision will do
//	facts.go       what people decide by, and what of it has changed
//	fleetactions.go    decisions about a fleet
//	rolloutactions.go  about a rollout
//	buildactions.go    about a build
//	nodeactions.go     about a node
//	letteractions.go   about a dead letter
//	decisionevents.go  tells of them, and of those that were refused
package console
