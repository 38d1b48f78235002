// Package install is `fenceline install`, which makes a role a service of a machine's systemd. To
// be read in this order:
//
//   - install.go: the command, and where things are put
//   - plan.go: what there is to do on a machine, and what is left alone
//   - unit.go: the systemd unit
//   - files.go: how files are written and given to users
//   - nextsteps.go: what is left to people then
package install
