package form

import (
	"html"
	"strings"
)

// slack is text as Slack shows it as it is: what is not &, < or > has no meaning in its plain_text, and mentions begin with <.
func slack(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// unseen is a character without width. Behind an @ it keeps a name from being called.
const unseen = "\u200b"

// markdown is text as Markdown shows it as it is: each character that has a meaning is escaped, and names are not called.
func markdown(s string) string {
	var out strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\\`*_{}[]()#+-.!|>~<&:$=", r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
		if r == '@' || r == '~' {
			out.WriteString(unseen)
		}
	}
	return out.String()
}

// escapeHTML is text as HTML shows it as it is.
func escapeHTML(s string) string { return html.EscapeString(s) }
