// Package producer turns what forges and people say into build requests: webhooks of
// forges and post-receive hooks, and calls with a token. A request is
// answered 2xx only when it is durably stored, and what it builds comes from the pipeline
// file alone: a payload says that something happened, never what to clone.
//
// The files, in reading order:
//
//	producer.go         what runs beside the server: Config, New, Run
//	routes.go           what is served, and what the document of the API says of it
//	openapi.go          that document
//	httpserver.go       the HTTP server around them
//	connections.go      its connections, of which there is a bound
//	unixsocket.go       a Unix socket that it listens on, its own or systemd's
//	certificate.go      the certificate that it shows, read again on change
//	forwarded.go        whom a request is from, behind proxies
//	webhooks.go         a webhook: who signed it, what was pushed, which pipelines it concerns
//	body.go             a body is read, within bounds
//	bodyroom.go         what bodies take together, of which the slowest make way
//	forge.go            what a forge tells: the signature and the pushes
//	textlist.go         lists of texts in a payload, in little memory
//	push.go             the payload of a push that GitHub, Gitea, Forgejo and Gogs share
//	github.go           GitHub
//	gitlab.go           GitLab
//	gitea.go            Gitea, Forgejo and Gogs
//	bitbucket.go        Bitbucket Cloud and Bitbucket Data Center
//	generic.go          generic webhooks, signed or with a password
//	azuredevops.go      those of Azure DevOps
//	ping.go             whether a push would be taken, for a test delivery
//	form.go             the payload of a webhook that is sent as a form
//	otherforges.go      webhooks at another forge's address, and other words for forges
//	limits.go           how much one repository, and one address, may send
//	matching.go         whether a pipeline builds a push
//	filters.go          what keeps one from being built: its commit's message, its files
//	explain.go          what would become of a webhook, without a queue
//	foresee.go          what would become of a push, likewise
//	hookkeyring.go      the pipelines whose secret signed a webhook
//	hooksecret.go       the secret of webhooks, from its file
//	repositoryplace.go  whether two addresses are one repository
//	calls.go            calls with a token
//	tokens.go           who has which
//	idempotencykey.go   calls that are the same call, however often they come
//	polls.go            repositories are looked at from time to time
//	heads.go            one look: heads of branches, and tags, whose pushes nobody told of
//	sharedpolls.go      what producers share of that
//	schedules.go        builds whose time has come
//	schedulestate.go    which schedules there are, and when they come next
//	reason.go           what leads to a build
//	bases.go            what pipelines build on is followed
//	baselooks.go        their bases are looked at
//	rebuild.go          whether, when and why a head is built again
//	imagegraph.go       which pipelines build on which
//	registrynotifications.go  registries tell of pushes
//	registryforms.go    how each tells it
//	counted.go          what is stored, and what comes over HTTP, is counted
//	store.go            what either asks for is stored before it is accepted
//	audit.go            audit events of all that comes
//	answer.go           answers and refusals
//	traces.go           spans of requests, and traceparents of builds
//	pipelines.go        the pipelines of a pipeline file
//	reload.go           the file is read again when it has changed
//	sharedfile.go       others are told of one that can't be used
//	stamp.go            whether a file has changed
//	pipelinefile.go     the file is read, field by field
//	refpatterns.go      its branches and tags
//	filedefaults.go     what its pipelines have in common
//	sitevalues.go       values that differ by site: files and the environment
//	rolloutpolicy.go    its fleets and their policies
//	schedulesection.go  when they are built in any case
//	rebuildsection.go   for which changes of bases they are built again
//	statussection.go    where its commits' statuses go
//	sinksection.go      where events go
//	pullways.go         how their nodes fetch, and from where they may
//	yamlvalues.go       the kinds of values in it
//	render.go           a pipeline as it is resolved
//	schema.go           what the file takes, for editors: the same code describes it
//	fieldwords.go       the words for each field
package producer
