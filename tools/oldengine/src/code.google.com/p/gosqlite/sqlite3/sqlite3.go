// Package sqlite3 stands where Docker 1.3 looks for its database: the one that is kept well today.
package sqlite3

import _ "github.com/mattn/go-sqlite3"
