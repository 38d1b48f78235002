package producer

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
)

// isForm tells whether a body is a form, which is GitHub's default. Some senders of JSON say that they
// send a form, as curl does by itself.
func isForm(h http.Header, body []byte) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded" && !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{"))
}

// formPayload is the field payload of a form, decoded in the place of the form: whoever sends a large
// one gets no more room by it.
func formPayload(form []byte) ([]byte, error) {
	for rest := form; len(rest) > 0; {
		var field []byte
		field, rest, _ = bytes.Cut(rest, []byte("&"))
		if value, ok := bytes.CutPrefix(field, []byte("payload=")); ok {
			return unescape(value)
		}
	}
	return nil, errors.New("body is a form without the field payload: send the payload in a field of that name, or as application/json")
}

// unescape decodes a value of a form in its place.
func unescape(value []byte) ([]byte, error) {
	out := value[:0]
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(value) || !isHex(value[i+1]) || !isHex(value[i+2]) {
				return nil, errors.New("body is a form whose field payload has a % without two hexadecimal digits")
			}
			c = fromHex(value[i+1])<<4 | fromHex(value[i+2])
			i += 2
		}
		out = append(out, c)
	}
	return out, nil
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func fromHex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
