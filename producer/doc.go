// Package producer turns what forges and people say into build requests: webhooks of
// GitHub, Gitea, Forgejo and post-receive hooks, and calls with a token. A request is
// answered 2xx only when it is durably stored, and what it builds comes from the pipeline
// file alone: a payload says that something happened, never what to clone.
package producer
