// Package backends opens the fence configs of fleets: the one place that knows which backends there
// are. Roles and commands go through it, and know the interface alone.
package backends
