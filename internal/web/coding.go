package web

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"onramp/internal/onramp"
)

const (
	// Codings are the content codings that a body may have, for an Accept-Encoding
	// header (RFC 7694).
	Codings = "gzip, deflate, br, zstd"
	// maxCodings is how many a body may have one over the other.
	maxCodings = 2
	// maxWindow is the most memory that zstd may ask for (RFC 9659); brotli can't ask
	// for more than twice as much.
	maxWindow = 8 << 20
)

var errCoding = &onramp.Error{
	Kind: onramp.Unsupported, Message: "send the body without a content coding, or with gzip, deflate, br or zstd, and not more than two of them",
}

var errWindow = &onramp.Error{
	Kind: onramp.TooLarge, Message: "the body asks for a zstd window of more than 8 MiB; compress it with a lower level",
}

// decoders are the places for decoding. Their number bounds the memory that all
// windows take. A body is decoded only when it has arrived, so that a slow sender
// keeps no place.
var decoders = make(chan struct{}, 4)

// contentCodings lists the codings of a body in the order in which they were applied.
func contentCodings(h http.Header) ([]string, error) {
	var codings []string
	for _, line := range h["Content-Encoding"] {
		for coding := range strings.SplitSeq(strings.ToLower(line), ",") {
			switch coding = strings.TrimSpace(coding); coding {
			case "", "identity":
			case "x-gzip":
				codings = append(codings, "gzip")
			case "gzip", "deflate", "br", "zstd":
				codings = append(codings, coding)
			default:
				return nil, errCoding
			}
		}
	}
	if len(codings) > maxCodings {
		return nil, errCoding
	}
	return codings, nil
}

// decode undoes the codings of a body that has arrived. Neither the result nor
// anything between may be larger than the limit, and what is kept counts towards the
// room for bodies.
func decode(r *http.Request, codings []string, encoded []byte, buf *bytes.Buffer, limit int64) error {
	if len(encoded) == 0 {
		return nil
	}
	decoders <- struct{}{}
	defer func() { <-decoders }()
	var in io.Reader = bytes.NewReader(encoded)
	for _, name := range slices.Backward(codings) {
		decoder, closeDecoder, err := newDecoder(name, in)
		if err != nil {
			return undecodable(name, err)
		}
		defer closeDecoder()
		in = &decoded{Reader: decoder, coding: name, limit: limit}
	}
	if b, ok := r.Body.(*body); ok {
		in = keeping{in, b}
	}
	_, err := buf.ReadFrom(in)
	return err
}

// newDecoder undoes one coding.
func newDecoder(coding string, in io.Reader) (decoder io.Reader, closeDecoder func(), err error) {
	closeDecoder = func() {}
	switch coding {
	case "gzip":
		decoder, err = gzip.NewReader(in)
	case "deflate":
		decoder, err = newInflater(in)
	case "br":
		decoder = brotli.NewReader(in)
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			decoder, closeDecoder = z, z.Close
		}
	}
	return decoder, closeDecoder, err
}

// inflater undoes deflate, and refuses what follows it.
type inflater struct {
	io.Reader
	in *bufio.Reader
}

// newInflater reads the zlib format, as RFC 9110, 8.4.1.2 has it, and bare deflate,
// which has been sent under this name for as long.
func newInflater(in io.Reader) (*inflater, error) {
	buffered := bufio.NewReader(in)
	head, err := buffered.Peek(2)
	if err != nil {
		return nil, err
	}
	if isZlib := head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0; !isZlib {
		return &inflater{flate.NewReader(buffered), buffered}, nil
	}
	decoder, err := zlib.NewReader(buffered)
	return &inflater{decoder, buffered}, err
}

var errTrailing = errors.New("something follows the end")

func (i *inflater) Read(p []byte) (int, error) {
	n, err := i.Reader.Read(p)
	if err == io.EOF {
		if _, err := i.in.Peek(1); err == nil {
			return n, errTrailing
		}
	}
	return n, err
}

// decoded is what one coding holds, up to a limit.
type decoded struct {
	io.Reader
	coding string
	limit  int64
	came   int64
}

func (d *decoded) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if d.came += int64(n); d.came > d.limit {
		return 0, tooLarge(d.limit)
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return 0, errWindow
	}
	if err != nil && err != io.EOF {
		err = undecodable(d.coding, err)
	}
	return n, err
}

// undecodable is the refusal of what does not have the coding that it is said to
// have, or that of a coding below.
func undecodable(coding string, err error) error {
	if known, ok := errors.AsType[*onramp.Error](err); ok {
		return known
	}
	return Malformed("the body is not valid " + coding)
}

// keeping counts what is decoded like what arrives.
type keeping struct {
	io.Reader
	body *body
}

func (k keeping) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	if k.body.refused.Load() || !k.body.keep(int64(n)) {
		return n, errBusy
	}
	return n, err
}
