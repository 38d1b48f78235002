// Package producer turns what forges and people say into build requests: webhooks of
// forges and post-receive hooks, and calls with a token. A request is
// answered 2xx only when it is durably stored, and what it builds comes from the pipeline
// file alone: a payload says that something happened, never what to clone.
//
// The files, in reading order:
//
//	producer.go         the routes, and the sweep beside them: Config, New, Run
//	httpserver.go       the HTTP server around them
//	connections.go      its connections, of which there is a bound
//	webhooks.go         a webhook: who signed it, what was pushed, which pipelines it concerns
//	body.go             a body is read, within bounds
//	forge.go            what a forge tells: the signature and the pushes
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
//	matching.go         whether a pipeline builds a push
//	filters.go          what keeps one from being built: its commit's message, its files
//	explain.go          what would become of a webhook, without a queue
//	foresee.go          what would become of a push, likewise
//	hookkeyring.go      the pipelines whose secret signed a webhook
//	hooksecret.go       the secret of webhooks, from its file
//	repositoryplace.go  whether two addresses are one repository
//	calls.go            calls with a token
//	heads.go            heads of branches whose pushes nobody told of
//	store.go            what either asks for is stored before it is accepted
//	answer.go           answers and refusals
//	pipelines.go        the pipelines of a pipeline file
//	reload.go           the file is read again when it has changed
//	stamp.go            whether a file has changed
//	pipelinefile.go     the file is read, field by field
//	refpatterns.go      its branches and tags
//	filedefaults.go     what its pipelines have in common
//	sitevalues.go       values that differ by site: files and the environment
//	rolloutpolicy.go    its fleets and their policies
//	statussection.go    where its commits' statuses go
//	pullways.go         how their nodes fetch, and from where they may
//	yamlvalues.go       the kinds of values in it
//	render.go           a pipeline as it is resolved
//	schema.go           what the file takes, for editors: the same code describes it
//	fieldwords.go       the words for each field
package producer
