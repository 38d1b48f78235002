// Package standardwebhooks signs webhooks, and knows their signatures, as the Standard Webhooks specification 1.0.0 says
// (https://www.standardwebhooks.com): an HMAC-SHA256 over the ID, the time and the body.
//
// Files:
//
//	secrets.go  secrets as people write them, and the keys that they are
//	sign.go     signatures
package standardwebhooks
