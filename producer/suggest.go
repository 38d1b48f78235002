package producer

import "unicode/utf8"

// suggestion ends a sentence about an unknown word with the known word that was probably
// meant, as `, did you mean "x"?`, or is empty.
func suggestion(word string, known []string) string {
	if utf8.RuneCountInString(word) > 64 {
		return ""
	}
	best, bestDistance := "", 1+max(2, len(word)/3)
	for _, k := range known {
		if d := distance(word, k); d < bestDistance && d < max(len(k), len(word)) {
			best, bestDistance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return `, did you mean "` + best + `"?`
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
