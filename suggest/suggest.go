// Package suggest finds the known word that a misspelt one was probably meant to be.
package suggest

import "unicode/utf8"

// maxLength bounds the words that are compared, since what is misspelt comes from outside.
const maxLength = 64

// Nearest returns the known word that word was probably meant to be, or "" when none is
// near: more than two characters, and more than a third of them, differ.
func Nearest(word string, known []string) string {
	length := utf8.RuneCountInString(word)
	if length > maxLength {
		return ""
	}
	best, nearest := "", 1+max(2, length/3)
	for _, k := range known {
		if d := distance(word, k); d < nearest && d < max(length, utf8.RuneCountInString(k)) {
			best, nearest = k, d
		}
	}
	return best
}

// DidYouMean ends a sentence about an unknown word: `, did you mean "x"?`, or nothing.
func DidYouMean(word string, known []string) string {
	if best := Nearest(word, known); best != "" {
		return `, did you mean "` + best + `"?`
	}
	return ""
}

// distance is the number of characters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	ra, rb := []rune(a), []rune(b)
	row := make([]int, len(rb)+1)
	for j := range row {
		row[j] = j
	}
	for i := range ra {
		diagonal := row[0]
		row[0] = i + 1
		for j := range rb {
			cost := diagonal
			if ra[i] != rb[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(rb)]
}
