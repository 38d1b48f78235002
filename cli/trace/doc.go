// Package trace puts together what the records have of a commit, an image, a build or a node: the whole chain, from
// who pushed to which containers still run another image, and what of it is gone. To be read in this order:
//
//	chain.go    what a chain has, as it is printed in JSON
//	records.go  what it is put together from
//	find.go     what a word of the command line means
//	gather.go   the chain of what was found
//	nodes.go    what nodes hold, applied and run
//	write.go    the chain for people
package trace
