package web_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"onramp/internal/onramp"
	"onramp/internal/web"
)

// coded applies a content coding.
func coded(coding string, text []byte) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "bare deflate":
		w, _ = flate.NewWriter(&b, flate.DefaultCompression) // a level that exists
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1)) // no option can be wrong
	default:
		return text
	}
	_, _ = w.Write(text) // a Buffer takes all
	_ = w.Close()
	return b.Bytes()
}

// A small body that would become a large one takes no more memory than the limit
// allows.
func TestBombs(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 32<<20)
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		t.Run(coding, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("POST", "/", bytes.NewReader(coded(coding, zeros)))
			r.Header.Set("Content-Encoding", coding)
			var b bytes.Buffer
			err := web.ReadBody(r, &b, 256<<10)
			if e, ok := errors.AsType[*onramp.Error](err); !ok || e.Kind != onramp.TooLarge || e.Message != "the body is larger than 256 KiB" {
				t.Errorf("the error is %v", err)
			}
			if b.Len() > 256<<10 || b.Cap() > 1<<20 {
				t.Errorf("%d bytes are held in %d", b.Len(), b.Cap())
			}
		})
	}
}

// What is decoded takes room like what arrives, and gives it back.
func TestCodedBodies(t *testing.T) {
	t.Parallel()
	read, answer := make(chan int), make(chan struct{})
	l, log := serve(t, web.Limits{Bodies: 512 << 10, Fair: time.Hour}, func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		if err := web.ReadBody(r, &b, 16<<20); err != nil {
			web.WriteProblem(w, web.PublicError(err))
			return
		}
		read <- b.Len()
		<-answer
	})
	send := func(length int) (peer, int) {
		encoded := coded("gzip", bytes.Repeat([]byte("a"), length))
		p := dial(t, l, "127.0.0.1")
		p.send(t, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(encoded), encoded))
		return p, len(encoded)
	}
	fits, encoded := send(512 << 10)
	if got := <-read; got != 512<<10 {
		t.Errorf("%d bytes were read", got)
	}
	if got, want := l.Counted(), int64(512<<10-64<<10+encoded); got != want {
		t.Errorf("%d bytes are counted, want %d", got, want)
	}
	second, _ := send(512 << 10)
	if got := second.status(t); got != 503 {
		t.Errorf("what there is no room for was answered %d", got)
	}
	close(answer)
	if got := fits.status(t); got != 200 {
		t.Errorf("what there is room for was answered %d", got)
	}
	log.await(t, "status=503")
	eventually(t, "the room is not given back", func() bool { return l.Counted() == 0 })
}

// Who asks before sending a body of an unknown coding is told before sending.
func TestCodingExpect(t *testing.T) {
	t.Parallel()
	l, _ := serve(t, web.Limits{}, reads)
	p := dial(t, l, "127.0.0.1")
	p.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: compress\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	r, err := http.ReadResponse(p.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	got := []string{r.Status, r.Header.Get("Accept-Encoding")}
	if diff := cmp.Diff([]string{"415 Unsupported Media Type", "gzip, deflate, br, zstd"}, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

// Whatever comes under a coding is decoded up to the limit or refused; what was
// encoded properly comes out as it was.
func FuzzReadBody(f *testing.F) {
	codings := []string{"gzip", "deflate", "bare deflate", "br", "zstd", "x-gzip", "identity"}
	for i := range codings {
		f.Add(uint8(i), coded(codings[i], []byte("a text, a text")), "gzip, br")
		f.Add(uint8(i), []byte("a text"), codings[i])
	}
	f.Add(uint8(4), []byte("(\xb5/\xfd\x00X\x11\x00\x00ab"), "zstd")
	f.Fuzz(func(t *testing.T, number uint8, body []byte, header string) {
		const limit = 4 << 10
		read := func(header string, body []byte) ([]byte, error) {
			r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
			r.Header.Set("Content-Encoding", header)
			var b bytes.Buffer
			err := web.ReadBody(r, &b, limit)
			e, ok := errors.AsType[*onramp.Error](err)
			if err != nil && (!ok || e.Kind != onramp.Malformed && e.Kind != onramp.TooLarge && e.Kind != onramp.Unsupported || e.Err != nil) {
				t.Errorf("%q under %q: %v", body, header, err)
			}
			return b.Bytes(), err
		}
		if got, err := read(header, body); err == nil && len(got) > limit {
			t.Errorf("%d bytes come out", len(got))
		}
		coding := codings[int(number)%len(codings)]
		encoded := coded(coding, body)
		if len(body) == 0 || len(body) > limit || len(encoded) > limit {
			return
		}
		got, err := read(strings.TrimPrefix(coding, "bare "), encoded)
		if err != nil || !bytes.Equal(got, body) {
			// bare deflate whose first two bytes look like zlib's can't be told from it
			if coding == "bare deflate" && encoded[0]&0x0f == 8 && (int(encoded[0])<<8|int(encoded[1]))%31 == 0 {
				return
			}
			t.Errorf("%q came out of %s as %q, %v", body, coding, got, err)
		}
	})
}
