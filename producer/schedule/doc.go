// Package schedule reads cron expressions and says when they come in a time zone, also on the days on which clocks are put
// forward and back.
//
// Files, in reading order:
//
//	expression.go  an expression is read; what is wrong with one, and what was meant
//	zone.go        the names of time zones
//	next.go        when it comes next, and when it came last
package schedule
