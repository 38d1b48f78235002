// Package tokens has the file of tokens by which people sign in to the console. The file has no token, only what
// tells one: a line for each person, with their name, their role and a digest. To be read in this order:
//
//   - tokens.go: what a line says, a new token, and whose a token is
//   - file.go: the file read, followed and changed
package tokens
