// Package settings has what the commands of fenceline can be told by flags, variables and settings
// files: every role's settings as a struct of values, whose Add adds its flags. To be read in this
// order:
//
//   - roles.go: the settings of each role, of `fenceline run` and of `fenceline up`
//   - listener.go: where a producer's webhooks and calls come in
//   - oidc.go: by which OpenID Connect provider people sign in to the console
//   - pipelinefiles.go: where the pipelines are declared
//   - apply.go: where a node writes the current image
//   - fence.go: where a controller finds fence configs
//   - names.go: the names of roles, users and this machine
//   - natsusers.go: the users of NATS that every installation has, and what each may do
//   - reach.go: what may be cloned from
//   - pullways.go: how a node fetches images
//   - flagkinds.go: the kinds of flags: paths, names, labels, durations
//   - notes.go: what is noted beside a flag: that it is needed, its default in words, more about it
//   - environment.go: the variable of a flag
//   - file.go: the settings file of a role
//   - skeleton.go: a settings file to fill in
//   - secrets.go: the files with passwords and tokens that settings name
//   - tokens.go: the tokens of callers
//   - usage.go: the error of what can't be carried out as it is written
package settings
