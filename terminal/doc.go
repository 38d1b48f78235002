// Package terminal writes text for people, so that what strangers wrote into it neither orders a
// terminal about nor passes for a line of ours. To be read in this order:
//
//   - visible.go: what a terminal would obey, made visible
//   - writer.go: the one filter that everything printed goes through, and what its terminal can do
//   - page.go: lines, with a value's own newlines marked
//   - table.go: tables that fit the terminal
//   - fit.go: a text as one line of a screen
//   - wrap.go: how wide text is, and where it is broken
package terminal
