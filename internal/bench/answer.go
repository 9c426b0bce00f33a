package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Limits on what a server may send before the generator gives up on it.
const (
	maxHeaderLines = 128
	maxShown       = 160 // bytes of an unwanted answer that are worth showing
)

// answer is what the generator needs to know of an HTTP answer.
type answer struct {
	status int
	last   bool   // the server closes the connection after this answer
	shown  string // the start of the body, when the status was not the wanted one
}

// framing is how the end of a body is found.
type framing struct {
	length  int64 // -1 when not given
	chunked bool
	close   bool
	keep    bool
	old     bool // HTTP/1.0, where the connection closes unless the server says otherwise
}

// readAnswer reads one whole HTTP/1 answer to a POST, its body included, and
// nothing beyond it. It allocates only when the answer is not the wanted one.
func readAnswer(br *bufio.Reader, want int) (answer, error) {
	status, f, err := readHead(br)
	if err != nil {
		return answer{}, err
	}
	body := &body{br: br}
	if status != want {
		body.show = maxShown
	}
	a := answer{status: status, last: f.close || f.old && !f.keep}
	switch {
	case status == 101 || status == 204 || status == 304:
		a.last = a.last || status == 101 // no longer HTTP from here on
	case f.chunked:
		err = body.skipChunks()
	case f.length >= 0:
		err = body.skip(f.length)
	default:
		a.last = true
		err = body.skipRest()
	}
	a.shown = string(body.shown)
	return a, err
}

// readHead reads a status line and a header, past any interim answers (100, 103)
// that precede them.
func readHead(br *bufio.Reader) (status int, f framing, err error) {
	for range maxHeaderLines {
		status, old, err := readStatus(br)
		if err != nil {
			return 0, framing{}, err
		}
		if f, err = readHeader(br); err != nil {
			return 0, framing{}, err
		}
		if f.old = old; status >= 200 || status == 101 {
			return status, f, nil
		}
	}
	return 0, framing{}, errors.New("nothing but interim answers")
}

// readStatus reads a status line. old says that it was HTTP/1.0, where the
// connection closes unless the server says otherwise.
func readStatus(br *bufio.Reader) (status int, old bool, err error) {
	if _, err := br.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			return 0, false, errors.New("connection closed without an answer")
		}
		return 0, false, err
	}
	line, err := readLine(br)
	if err != nil {
		return 0, false, err
	}
	// HTTP/1.1 202 Accepted
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return 0, false, fmt.Errorf("not an HTTP/1 answer: %q", line[:min(len(line), maxShown)])
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return 0, false, fmt.Errorf("status %q", line[9:12])
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 {
		return 0, false, fmt.Errorf("status %q", line[9:12])
	}
	return status, line[7] == '0', nil
}

func readHeader(br *bufio.Reader) (framing, error) {
	f := framing{length: -1}
	for range maxHeaderLines {
		line, err := readLine(br)
		if err != nil {
			return f, err
		}
		if len(line) == 0 {
			return f, nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return f, fmt.Errorf("not a header line: %q", line[:min(len(line), maxShown)])
		}
		if err := f.add(name, bytes.TrimSpace(value)); err != nil {
			return f, err
		}
	}
	return f, fmt.Errorf("more than %d header lines", maxHeaderLines)
}

// add looks at the length of the name first: most lines are none of the three
// that matter and are passed over without comparing.
func (f *framing) add(name, value []byte) error {
	switch len(name) {
	case len("Content-Length"):
		if !bytes.EqualFold(name, []byte("Content-Length")) {
			return nil
		}
		n, err := strconv.ParseUint(string(value), 10, 63)
		if err != nil || f.length >= 0 && f.length != int64(n) {
			return fmt.Errorf("content length %q", value)
		}
		f.length = int64(n)
	case len("Transfer-Encoding"):
		if !bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			return nil
		}
		if !bytes.EqualFold(value, []byte("chunked")) {
			return fmt.Errorf("transfer encoding %q", value)
		}
		f.chunked = true
	case len("Connection"):
		if !bytes.EqualFold(name, []byte("Connection")) {
			return nil
		}
		for token := range bytes.SplitSeq(value, []byte(",")) {
			token = bytes.TrimSpace(token)
			f.close = f.close || bytes.EqualFold(token, []byte("close"))
			f.keep = f.keep || bytes.EqualFold(token, []byte("keep-alive"))
		}
	}
	return nil
}

// readLine returns a line without its end. It is valid until the next read.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("line of more than %d bytes", br.Size())
	}
	if err != nil {
		return nil, cutShort(err)
	}
	line = line[:len(line)-1]
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// body passes over the body of an answer and keeps the first bytes if asked.
type body struct {
	br    *bufio.Reader
	show  int // how many bytes to keep
	shown []byte
}

func (b *body) skip(n int64) error {
	for n > 0 {
		if want := min(b.show-len(b.shown), int(min(n, maxShown))); want > 0 {
			head, err := b.br.Peek(want)
			b.shown = append(b.shown, head...)
			if err != nil {
				return cutShort(err)
			}
		}
		// In steps, since a length may exceed an int on a small machine.
		done, err := b.br.Discard(int(min(n, 1<<20)))
		if err != nil {
			return cutShort(err)
		}
		n -= int64(done)
	}
	return nil
}

func (b *body) skipChunks() error {
	for {
		line, err := readLine(b.br)
		if err != nil {
			return err
		}
		digits, _, _ := bytes.Cut(line, []byte(";"))
		size, err := strconv.ParseUint(string(bytes.TrimRight(digits, " \t")), 16, 63)
		if err != nil {
			return fmt.Errorf("chunk size %q", digits[:min(len(digits), maxShown)])
		}
		if size == 0 {
			_, err := readHeader(b.br) // trailers
			return err
		}
		if err := b.skip(int64(size)); err != nil {
			return err
		}
		if line, err = readLine(b.br); err != nil {
			return err
		}
		if len(line) > 0 {
			return errors.New("chunk longer than its size")
		}
	}
}

// skipRest reads to the end of the connection.
func (b *body) skipRest() error {
	for {
		if _, err := b.br.Peek(1); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if room := b.show - len(b.shown); room > 0 {
			head, _ := b.br.Peek(min(room, b.br.Buffered()))
			b.shown = append(b.shown, head...)
		}
		// What is buffered can always be discarded.
		_, _ = b.br.Discard(b.br.Buffered())
	}
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("connection closed in the middle of an answer")
	}
	return err
}
