package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"onramp/internal/api"
	"onramp/internal/onramp"
	"onramp/internal/web"
	"onramp/internal/web/webtest"
)

const registrations = "/v1/forms/registration/registrations"

// Every bad input of strangers: its whole answer, and nothing of it is stored.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const (
		asJSON = "Content-Type: application/json"
		asForm = "Content-Type: application/x-www-form-urlencoded"
		good   = `{"email":"a@b.co"}`
	)
	g := newGateway(t)
	malformed := func(detail string) answer { return webtest.Problem(400, detail, "", vary) }
	unsupported := webtest.Problem(415, notContentType, "", vary)
	noForm := webtest.Problem(404, "there is no such form", "", vary)
	for name, row := range map[string]struct {
		method, path string
		body         string
		headers      []string
		want         answer
	}{
		"not JSON":         {"POST", registrations, `email=a@b.co`, []string{asJSON}, malformed(notJSON)},
		"empty body":       {"POST", registrations, ``, []string{asJSON}, malformed(notJSON)},
		"cut off":          {"POST", registrations, `{"email":"a@b.co"`, []string{asJSON}, malformed(notJSON)},
		"array":            {"POST", registrations, `[` + good + `]`, []string{asJSON}, malformed(notObject)},
		"null":             {"POST", registrations, `null`, []string{asJSON}, malformed(notObject)},
		"deep nesting":     {"POST", registrations, strings.Repeat(`{"email":`, 20000), []string{asJSON}, malformed(notJSON)},
		"nested":           {"POST", registrations, `{"email":{"a":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}}`, []string{asJSON}, invalid("email", "must be text")},
		"broken UTF-8":     {"POST", registrations, "{\"email\":\"a@b.co\",\"first_name\":\"\xff\"}", []string{asJSON}, malformed(notUTF8)},
		"NUL":              {"POST", registrations, `{"email":"a@b.co","first_name":"a\u0000b"}`, []string{asJSON}, invalid("first_name", "must not contain control characters")},
		"bare NUL":         {"POST", registrations, "{\"email\":\"a@b.co\x00\"}", []string{asJSON}, malformed(notJSON)},
		"NUL posted":       {"POST", registrations, "email=a%40b.co&last_name=%00", []string{asForm}, invalid("last_name", "must not contain control characters")},
		"half a pair":      {"POST", registrations, `{"email":"a@b.co","first_name":"\ud83d"}`, []string{asJSON}, invalid("first_name", "must not contain half of a surrogate pair, such as an emoji that was cut in two")},
		"wrong types":      {"POST", registrations, `{"email":1,"first_name":true,"last_name":["Doe"],"opt_in":"perhaps"}`, []string{asJSON}, invalid("email", "must be text", "first_name", "must be text", "last_name", "must be text", "opt_in", "must be true or false")},
		"missing":          {"POST", registrations, `{}`, []string{asJSON}, invalid("email", "is required")},
		"missing posted":   {"POST", registrations, "", []string{asForm}, invalid("email", "is required")},
		"unknown":          {"POST", registrations, `{"email":"a@b.co","e-mail":"secret"}`, []string{asJSON}, invalid("e-mail", "is not a field of this form")},
		"column":           {"POST", registrations, `{"email":"a@b.co","Source":"mine"}`, []string{asJSON}, invalid("Source", "is not a field of this form")},
		"doubled":          {"POST", registrations, `{"email":"a@b.co","email":"a@b.co"}`, []string{asJSON}, invalid("email", "is given more than once")},
		"doubled posted":   {"POST", registrations, "email=a%40b.co&last_name=Doe&last_name=Doe", []string{asForm}, invalid("last_name", "is given more than once")},
		"too long":         {"POST", registrations, `{"email":"a@b.co","first_name":"` + strings.Repeat("😀", 51) + `"}`, []string{asJSON}, invalid("first_name", "must be at most 100 characters")},
		"e-mail":           {"POST", registrations, `{"email":"Jane Doe <jane@example.org>"}`, []string{asJSON}, invalid("email", "must be a valid email address")},
		"1000 fields":      {"POST", registrations, "{" + manyFields(1000) + "}", []string{asJSON}, manyUnknown()},
		"1001 fields":      {"POST", registrations, "{" + manyFields(1001) + "}", []string{asJSON}, malformed(tooMany)},
		"no content type":  {"POST", registrations, "email=a%40b.co", nil, unsupported},
		"text":             {"POST", registrations, "email=a@b.co\r\n", []string{"Content-Type: text/plain"}, unsupported},
		"broken multipart": {"POST", registrations, "--XX\r\nContent-Disp", []string{"Content-Type: " + partType}, malformed(notMultipart)},
		"a file":           {"POST", registrations, parts(`form-data; name="email"; filename="a@b.co"`, "x"), []string{"Content-Type: " + partType}, invalid("email", "must be text")},
		"unknown form":     {"POST", "/v1/forms/nobody/registrations", good, []string{asJSON}, noForm},
		"unknown schema":   {"GET", "/v1/forms/nobody", "", nil, noForm},
		"GET":              {"GET", registrations, "", nil, webtest.Problem(405, "this address accepts POST", "", "Allow: POST")},
		"PUT":              {"PUT", registrations, good, []string{asJSON}, webtest.Problem(405, "this address accepts POST", "", "Allow: POST")},
		"DELETE":           {"DELETE", "/v1/forms/registration", "", nil, webtest.Problem(405, "this address accepts GET, HEAD", "", "Allow: GET, HEAD")},
		"POST":             {"POST", "/openapi.json", "{}", []string{asJSON}, webtest.Problem(405, "this address accepts GET, HEAD", "", "Allow: GET, HEAD")},
		"unknown route":    {"GET", "/v2/forms/<script>", "", nil, webtest.Problem(404, "there is nothing at this address", "")},
		"root":             {"POST", "/", good, []string{asJSON}, webtest.Problem(404, "there is nothing at this address", "")},
		"empty key":        {"POST", registrations, good, []string{asJSON, "Idempotency-Key: "}, malformed(badKey)},
		"blank key":        {"POST", registrations, good, []string{asJSON, "Idempotency-Key:   "}, malformed(badKey)},
		"long key":         {"POST", registrations, good, []string{asJSON, "Idempotency-Key: " + strings.Repeat("k", 256)}, malformed(badKey)},
		"two keys":         {"POST", registrations, good, []string{asJSON, "Idempotency-Key: a", "Idempotency-Key: a"}, malformed(badKey)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			webtest.Check(t, row.want, do(g, row.method, row.path, row.body, row.headers...))
			g.checkNothingStored(t)
		})
	}
}

const badKey = "send one Idempotency-Key header of 1 to 255 characters"

func manyFields(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"field_%d":"a secret"`, i)
	}
	return strings.Join(members, ",")
}

// manyUnknown is the answer to a thousand unknown fields: fifty of them.
func manyUnknown() answer {
	var pairs []string
	for i := range 50 {
		pairs = append(pairs, "field_"+strconv.Itoa(i), "is not a field of this form")
	}
	return invalid(pairs...)
}

// Who sends far too much gets the answer although it reads nothing before it
// has sent everything.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	tooLarge := webtest.Problem(413, "the body is larger than 256 KiB", "", vary)
	for name, row := range map[string]struct {
		size    int
		chunked bool
		want    answer
	}{
		"10 MB":             {10 << 20, false, tooLarge},
		"10 MB in a chunk":  {10 << 20, true, tooLarge},
		"one byte too much": {256<<10 + 1, false, tooLarge},
		"just fits":         {256 << 10, false, webtest.Problem(400, notJSON, "", vary)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			length, body := fmt.Sprintf("Content-Length: %d", row.size), strings.Repeat("a", row.size)
			if row.chunked {
				length, body = "Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", row.size, body)
			}
			conn := dial(t, server)
			if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s\r\n\r\n%s", registrations, length, body); err != nil {
				t.Fatalf("could not send it all: %v", err)
			}
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			webtest.Check(t, row.want, webtest.AnswerOf(response))
			g.checkNothingStored(t)
		})
	}
}

// Who asks before sending is told before sending.
func TestTooLargeExpect(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newGateway(t))
	t.Cleanup(server.Close)
	conn := dial(t, server)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\nExpect: 100-continue\r\n\r\n", registrations)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	webtest.Check(t, webtest.Problem(413, "the body is larger than 256 KiB", "", vary), webtest.AnswerOf(response))
}

// A body that does not come to its end is refused, and the visitor's address is
// not logged with the reason.
func TestBodyBreaksOff(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	var logged bytes.Buffer
	mux := http.NewServeMux()
	public := &api.Public{
		Forms: g.forms, Store: g.store, Now: time.Now,
		Server: &web.Server{Log: slog.New(slog.NewJSONHandler(&logged, nil)), Part: "public"},
	}
	if err := public.Routes(mux); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(web.Harden(mux))
	server.Config.ReadTimeout = 50 * time.Millisecond
	server.Start()
	conn := dial(t, server)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"email\"", registrations)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	webtest.Check(t, webtest.Problem(400, "the body could not be read completely", "", vary), webtest.AnswerOf(response))
	g.checkNothingStored(t)
	server.Close() // what was logged is complete
	if !strings.Contains(logged.String(), "it came too slowly") || strings.Contains(logged.String(), "127.0.0.1") {
		t.Errorf("should log the reason without addresses:\n%s", logged.String())
	}
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A store that fails shows none of its insides.
func TestStoreUnavailable(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err  error
		want answer
	}{
		"unavailable": {
			&onramp.Error{Kind: onramp.Unavailable, Message: "the registration could not be stored; please try again", RetryAfter: 5 * time.Second, Err: io.ErrShortWrite},
			webtest.Problem(503, "the registration could not be stored; please try again", "", vary, "Retry-After: 5"),
		},
		"anything else": {fmt.Errorf("INSERT INTO registration: %w", io.ErrShortWrite), webtest.Problem(500, "internal error", "", vary)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := publicHandler(t, &api.Public{Forms: unregisteredForms(), Store: &registrar{err: row.err}})
			webtest.Check(t, row.want, do(h, "POST", registrations, `{"email":"a@b.co"}`, "Content-Type: application/json"))
		})
	}
}

func unregisteredForms() map[string]*onramp.Form {
	byName := map[string]*onramp.Form{}
	for _, f := range forms() {
		byName[f.Name] = onramp.NewForm(f, "secret")
	}
	return byName
}
