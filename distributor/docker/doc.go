// Package docker serves the distributor with a Docker engine. It speaks API 1.40 and later.
package docker
