package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onramp/internal/onramp"
	"onramp/internal/web/webtest"
)

// What a site sends and what is on disk when it has its answer.
func TestRegister(t *testing.T) {
	t.Parallel()
	const (
		asForm  = "Content-Type: application/x-www-form-urlencoded"
		browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
		agent   = "User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
		page    = "Referer: https://jane:secret@example.com/register?a=b&utm_source=mail&token=s3cret#top"
	)
	spec := `{"EmailAddress":"user@example.com","FirstName":"Jane","LastName":"Doe","OptInStatus":true,` +
		`"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration","IPAddress":"192.0.2.1",` +
		`"UserAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)","PageURL":"https://example.com/register?utm_source=mail"}`
	bare := `{"EmailAddress":"user@example.com","OptInStatus":false,"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration","IPAddress":"192.0.2.1"}`
	multipart := parts(`form-data; name="email"`, "user@example.com", `form-data; name="first_name"`, "Jane", `form-data; name="last_name"`, "Doe", `form-data; name="opt_in"`, "true")
	sent := webtest.Good(303, webtest.Headers(vary, "Location: /f/registration?thanks"), "")
	for name, row := range map[string]struct {
		body    string
		headers []string
		want    answer
		values  string
	}{
		"JSON": {
			`{"email":"user@example.com","first_name":"Jane","last_name":"Doe","opt_in":true}`,
			[]string{"Content-Type: application/json", agent, page},
			accepted(202, "queued"), spec,
		},
		"JSON that a browser's script sends": {
			`{"email":"user@example.com"}`, []string{"Content-Type: application/json", browser}, accepted(202, "queued"), bare,
		},
		"form post of a browser": {
			"email=user%40example.com&first_name=Jane&last_name=Doe&opt_in=true", []string{asForm, browser, agent, page}, sent, spec,
		},
		"form post of a browser, nothing but the address": {
			"email=user%40example.com&first_name=&last_name=", []string{asForm, browser}, sent, bare,
		},
		"multipart of a browser": {multipart, []string{"Content-Type: " + partType, browser, agent, page}, sent, spec},
		"form post of a program": {
			"email=user%40example.com", []string{asForm, "Accept: */*"}, accepted(202, "queued"), bare,
		},
		"multipart of a program":         {multipart, []string{"Content-Type: " + partType, agent, page}, accepted(202, "queued"), spec},
		"a referrer that is no web page": {`{"email":"user@example.com"}`, []string{"Content-Type: application/json", "Referer: about:blank"}, accepted(202, "queued"), bare},
		"the page as JSON has it": {
			`{"email":"user@example.com","first_name":"Jane","last_name":"Doe","opt_in":true,"_page":"https://example.com/register?utm_source=mail#top","_landing_page":null}`,
			[]string{"Content-Type: application/json", agent, "Referer: https://frame.example/"},
			accepted(202, "queued"), spec,
		},
		"the page as a form post has it": {
			"email=user%40example.com&first_name=Jane&last_name=Doe&opt_in=true&_once=Zm9vYmFyYmF6cXV4cXV1eA&_referrer=&_page=https%3A%2F%2Fexample.com%2Fregister%3Futm_source%3Dmail",
			[]string{asForm, browser, agent},
			sent, spec,
		},
		"a page that is none": {
			"email=user%40example.com&first_name=Jane&last_name=Doe&opt_in=true&_page=about%3Asrcdoc", []string{asForm, browser, agent, page}, sent, spec,
		},
		"a preference that is malformed": {`{"email":"user@example.com"}`, []string{"Content-Type: application/json", "Prefer: wait=now"}, accepted(202, "queued"), bare},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			got := do(g, "POST", registrations, row.body, row.headers...)
			stored := g.registrations(t)
			if len(stored) != 1 {
				t.Fatalf("%d registrations are stored; answered %+v", len(stored), got)
			}
			if id := idOf(got); id != "" && id != stored[0].ID {
				t.Errorf("answered id %s, stored %s", id, stored[0].ID)
			}
			webtest.Check(t, row.want, masked(got))
			want := onramp.Registration{
				Seq: 1, ID: stored[0].ID, Form: "registration", SubscriberKey: "user@example.com", ReceivedAt: receivedAt,
				Values: json.RawMessage(row.values), State: onramp.RegistrationQueued,
			}
			if diff := cmp.Diff(want, stored[0]); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			if !idForm.MatchString(stored[0].ID) {
				t.Errorf("%q is no id", stored[0].ID)
			}
			found, err := g.store.FindRegistration(t.Context(), stored[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			var steps []string
			for _, d := range found.Deliveries {
				steps = append(steps, d.Destination+" "+d.State.String())
			}
			if diff := cmp.Diff([]string{"data_extension:Web_Registrations pending", "journey:APIEvent-welcome waiting"}, steps); diff != "" {
				t.Errorf("deliveries (-want +got):\n%s", diff)
			}
		})
	}
}

var idForm = regexp.MustCompile(`^[0-9a-v]{36}$`)

func idOf(a answer) string {
	var body struct{ ID string }
	_ = json.Unmarshal([]byte(a.Body), &body) // a page has none
	return body.ID
}

// A form's own success page.
func TestSuccessURL(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	got := do(g, "POST", "/v1/forms/survey/registrations", "color=red", "Content-Type: application/x-www-form-urlencoded", "Accept: text/html")
	webtest.Check(t, webtest.Good(303, webtest.Headers(vary, "Location: https://www.example.com/thanks?from=survey"), ""), got)
	if n := len(g.registrations(t)); n != 1 {
		t.Errorf("%d registrations are stored", n)
	}
}

// A client that closes its half of the connection when it has sent everything
// still gets the right answer.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	for i := range 20 {
		conn := dial(t, server)
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"email\":\"a@b.co\"}", registrations)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		webtest.Check(t, accepted(202, "queued"), masked(webtest.AnswerOf(response)))
		if n := len(g.registrations(t)); n != i+1 {
			t.Fatalf("%d registrations are stored, want %d", n, i+1)
		}
	}
}

// A client that goes before it has sent everything has registered nothing, and
// is not told otherwise.
func TestHalfSent(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	conn := dial(t, server)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"email\":\"a@b.co\"}", registrations)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	webtest.Check(t, webtest.Problem(400, "the body could not be read completely", "", vary), webtest.AnswerOf(response))
	g.checkNothingStored(t)
}

// Which values reach their columns, type by type, from a form post.
func TestRegisterEveryType(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	body := "note=abc&mail=Jane%40EXAMPLE.org&agreed=off&age=042&amount=19.90&born=2026-06-23T14%3A52%3A45%2B02%3A00&phone=%2B49+30+123456&locale=de_at&color=%3Cblue%3E"
	got := do(g, "POST", "/v1/forms/survey/registrations", body, "Content-Type: application/x-www-form-urlencoded")
	if got.Status != 202 {
		t.Fatalf("answered %+v", got)
	}
	want := []onramp.Registration{{
		Seq: 1, ID: idOf(got), Form: "survey", ReceivedAt: receivedAt, State: onramp.RegistrationQueued,
		Values: json.RawMessage(`{"Note":"abc","Mail":"Jane@example.org","Agreed":false,"Age":42,"Amount":19.90,"Born":"2026-06-23T12:52:45Z",` +
			`"Phone":"+4930123456","Locale":"de-AT","Color":"<blue>"}`),
	}}
	if diff := cmp.Diff(want, g.registrations(t), cmpopts.IgnoreFields(onramp.Registration{}, "SubscriberKey")); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}
