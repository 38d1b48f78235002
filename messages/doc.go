// Package messages is the contract between fenceline's roles: the types that travel,
// the subjects they travel on, the streams and buckets that keep them, and how they are
// encoded and decoded.
//
// Every message is a CloudEvent 1.0 in binary content mode: attributes in ce-* headers,
// JSON in the body, the W3C traceparent beside them. A type carries its version
// (dev.fenceline.build.requested.v1) and so does its subject, so that an older worker
// leaves a newer message to a newer worker. A reader ignores fields that it doesn't know.
//
// Messages are self-contained: a build request carries the resolved pipeline and an
// image-ready event the rollout policies. Secrets travel as names, never as values.
//
// The package imports the standard library only.
package messages
