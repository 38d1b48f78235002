// Package distributor is the agent on a node: it keeps the node's container engine in line
// with its fleet's record. It pulls images by digest, keeps them under local tags, proves
// that they are present, tries them where the node is a canary, reports all of it in
// heartbeats, and removes what the fleet no longer wants.
//
// State is read, events are hints: whatever woke the agent, it reads the record and the
// engine and takes the next step from what is there.
package distributor
