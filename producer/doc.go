// Package producer turns what forges and people say into build requests: webhooks of
// GitHub, Gitea, Forgejo and post-receive hooks, and calls with a token. A request is
// answered 2xx only when it is durably stored, and what it builds comes from the pipeline
// file alone: a payload says that something happened, never what to clone.
//
// producer.go has the routes and the sweep; httpserver.go is the server around them.
// webhooks.go takes a webhook: body.go reads its body, forge.go and its forges, github.go, gitea.go
// and generic.go, tell who signed it and what was pushed, hookkeyring.go finds the pipelines whose secret
// signed it (hooksecret.go), and repositoryplace.go those of the repository. calls.go takes calls.
// store.go stores what either asks for, and answer.go answers.
// pipelines.go has the pipelines of a pipeline file, which pipelinefile.go reads, with
// rolloutpolicy.go for its fleets and yamlvalues.go for the kinds of values.
package producer
