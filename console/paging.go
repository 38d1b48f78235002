package console

import (
	"net/http"
	"strconv"
)

// maxPage bounds what a page's address can ask for.
const maxPage = 1_000_000

// pageOf is the page of a list that is asked for, from 1.
func pageOf(r *http.Request) int {
	n, err := strconv.Atoi(r.FormValue("page"))
	if err != nil {
		return 1
	}
	return min(max(n, 1), maxPage)
}

// beside are the addresses of the pages before and after one, or "".
func beside(path string, page int, more bool) (before, next string) {
	if page > 1 {
		before = path + "?page=" + strconv.Itoa(page-1)
	}
	if more {
		next = path + "?page=" + strconv.Itoa(page+1)
	}
	return before, next
}

// cut is a page of a list.
func cut[T any](all []T, page, per int) []T {
	from := min((page-1)*per, len(all))
	return all[from:min(from+per, len(all))]
}
