package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"onramp/internal/onramp"
)

// maxDrain is how much of a body that is too large is read and dropped, so that
// its sender, who is still sending, gets to read the answer.
const maxDrain = 16 << 20

// Malformed is an error of that kind: a request that can't be parsed. The message
// is shown to the sender.
func Malformed(message string) error {
	return &onramp.Error{Kind: onramp.Malformed, Message: message}
}

// ReadBody reads the whole body of a request into buf, at most limit bytes. The
// error is an [*onramp.Error] of kind TooLarge when there are more, and of kind
// Malformed when the connection breaks before the end. Neither names the sender.
func ReadBody(r *http.Request, buf *bytes.Buffer, limit int64) error {
	if r.ContentLength > limit && r.Header.Get("Expect") != "" {
		return tooLarge(limit) // the sender waits for permission before it sends
	}
	n, err := buf.ReadFrom(io.LimitReader(r.Body, limit+1))
	if err != nil {
		if broken, ok := errors.AsType[*net.OpError](err); ok {
			err = broken.Err // without the visitor's address, which is not for the log
		}
		return &onramp.Error{Kind: onramp.Malformed, Message: "the body could not be read completely", Err: err}
	}
	if n > limit {
		DropBody(r)
		return tooLarge(limit)
	}
	return nil
}

// DropBody reads what is left of a body that is refused, within bounds, so that a
// client that is still sending gets to read the answer.
func DropBody(r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, maxDrain) // whether it comes to its end does not matter
}

func tooLarge(limit int64) error {
	size := fmt.Sprintf("%d KiB", limit>>10)
	if limit >= 1<<20 {
		size = fmt.Sprintf("%d MiB", limit>>20)
	}
	return &onramp.Error{Kind: onramp.TooLarge, Message: "the body is larger than " + size}
}
