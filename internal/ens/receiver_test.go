package ens_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/ens"
	"onramp/internal/onramp"
	"onramp/internal/web"
	"onramp/sfmc"
)

// memory is a store in memory.
type memory struct {
	mu      sync.Mutex
	events  map[string]onramp.Event
	sinks   []int
	probes  []onramp.Probe
	records []onramp.CallbackRecord
	broken  error
	slow    bool // does not reply
	signed  map[string]string
}

func (m *memory) ListSignedWith(context.Context) (map[string]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.signed), m.broken
}

func (m *memory) SaveSignedWith(_ context.Context, callback, digest string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.signed[callback] = digest
	return m.broken
}

func (m *memory) SaveEvents(ctx context.Context, _ string, events []onramp.Event) (int, error) {
	if m.slow {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return 0, m.broken
	}
	stored := 0
	for _, e := range events {
		if _, known := m.events[e.ID]; known {
			continue
		}
		if m.events == nil {
			m.events = map[string]onramp.Event{}
		}
		m.events[e.ID] = e
		m.sinks = append(m.sinks, e.Sinks...)
		stored++
	}
	return stored, nil
}

func (m *memory) SaveProbe(_ context.Context, p onramp.Probe) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	m.probes = append(m.probes, p)
	return nil
}

func (m *memory) ListProbes(context.Context, string) ([]onramp.Probe, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.probes, nil
}

func (m *memory) ListCallbackRecords(context.Context) ([]onramp.CallbackRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records, nil
}

// tokens knows one token of the right client and one of another.
type tokens struct{}

func (tokens) Check(_ context.Context, authorization string) (onramp.Bearer, error) {
	switch authorization {
	case "Bearer good":
		return onramp.Bearer{Client: "mc"}, nil
	case "Bearer other":
		return onramp.Bearer{Client: "other"}, nil
	}
	return onramp.Bearer{}, &onramp.Error{Kind: onramp.Denied, Message: "the access token is not valid"}
}

const (
	key    = "V27FXfqI3DnhfQW1bhFDeJixpt8eDAY5R24UJI3cK6M="
	oldKey = "xv8pMrf9bxsvKhqvXjRjSphEK2WfPmuq+VBhzQfntJs="
	now    = "2026-11-22T12:00:00Z"
)

// receiving is a receiver with its store.
type receiving struct {
	*ens.Receiver
	*memory
	handler http.Handler
}

func newReceiving(t *testing.T) *receiving {
	t.Helper()
	m := &memory{signed: map[string]string{}, records: []onramp.CallbackRecord{
		{Name: "events", SignatureKeys: []onramp.Secret{key, oldKey}},
		{Name: "signed", SignatureKeys: []onramp.Secret{key}},
		{Name: "lenient", SignatureKeys: []onramp.Secret{key}},
	}}
	at, _ := time.Parse(time.RFC3339, now)
	w := &receiving{memory: m, Receiver: ens.NewReceiver(ens.ReceiverConfig{
		Callbacks: []onramp.Callback{
			{Name: "events", Auth: onramp.ClientCredentials, Client: "mc"},
			{Name: "signed", Auth: onramp.SignatureOnly},
			{Name: "fresh", Auth: onramp.ClientCredentials, Client: "mc"},
			{Name: "unset", Auth: onramp.SignatureOnly},
			{Name: "lenient", Client: "mc", Unsigned: onramp.AllowUnsigned},
			{Name: "strict", Client: "mc", Unsigned: onramp.RefuseUnsigned},
		},
		Targets: []ens.Target{
			{Sink: onramp.Sink{Name: "all"}, Destination: 7}, {Sink: onramp.Sink{Name: "opens", Types: []string{"*.EmailOpen"}}, Destination: 8},
		},
		Events: m, Records: m, Tokens: tokens{}, Reason: func(error) string { return "unknown" },
		Now: func() time.Time { return at }, Log: slog.New(slog.DiscardHandler),
	})}
	if err := w.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.Routes(mux, &web.Server{Log: slog.New(slog.DiscardHandler)})
	w.handler = mux
	return w
}

// callOf is a call of Marketing Cloud's.
type callOf struct {
	callback, body string
	token          string
	signature      string
	headers        []string // name, value
}

// reply is what it gets.
type reply struct {
	Status    int
	Body      string
	Challenge string
	Retry     string
}

func (w *receiving) send(t *testing.T, r callOf) reply {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/ens/"+r.callback, strings.NewReader(r.body))
	req.Header.Set("Content-Type", "application/json")
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.signature != "" {
		req.Header.Set("x-sfmc-ens-signature", r.signature)
	}
	for i := 0; i < len(r.headers); i += 2 {
		req.Header.Set(r.headers[i], r.headers[i+1])
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, req)
	return reply{recorder.Code, strings.TrimSpace(recorder.Body.String()), recorder.Header().Get("WWW-Authenticate"), recorder.Header().Get("Retry-After")}
}

// sign signs a body as Marketing Cloud does.
func sign(body string) string { return sfmc.SignEvents(key, []byte(body)) }

// rawSign signs it with the text of the key, as some readings of the
// documentation have it.
func rawSign(body string) string {
	return sfmc.SignEvents(sfmc.Secret(base64.StdEncoding.EncodeToString([]byte(key))), []byte(body))
}

const (
	open    = `{"eventCategoryType":"EngagementEvents.EmailOpen","timestampUTC":1700000000001,"composite":{"jobId":"1","batchId":"2","subscriberId":"3"},"info":{}}`
	sent    = `{"eventCategoryType":"TransactionalSendEvents.EmailSent","timestampUTC":1700000000000,"composite":{"jobId":"1","batchId":"2","subscriberId":"3"},"info":{"to":"a\u003db@example.org"}}`
	strange = `{"eventCategoryType":"Tomorrow.Thing","new":{"field":[1,2]}}`
	batch   = "[" + open + "," + sent + "]"
)

func gzipped(text string) string {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // a Builder takes all
	_ = w.Close()
	return b.String()
}

// inUTF16 writes what is ASCII.
func inUTF16(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteByte(text[i])
		b.WriteByte(0)
	}
	return b.String()
}

func taken(stored, repeated int) reply {
	return reply{Status: 200, Body: fmt.Sprintf(`{"stored":%d,"repeated":%d}`, stored, repeated)}
}

func refusal(status int, detail string) reply {
	return reply{Status: status, Body: fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"detail":%q}`, http.StatusText(status), status, detail)}
}

func denied(detail, challenge string) reply {
	a := refusal(401, detail)
	a.Challenge = challenge
	return a
}

// Every kind of call, with all that is stored and counted after it.
func TestReceive(t *testing.T) {
	t.Parallel()
	const invalid = `Bearer realm="onramp", error="invalid_token"`
	changed := strings.Replace(batch, "1700000000001", "1700000000002", 1)
	later := refusal(503, "this callback is not set up yet")
	later.Retry = "60"
	for name, row := range map[string]struct {
		request  callOf
		want     reply
		events   int
		refused  map[onramp.Refusal]int64
		accepted map[string]int64
	}{
		"token and signature": {
			callOf{callback: "events", body: batch, token: "good", signature: sign(batch)}, taken(2, 0), 2, nil, map[string]int64{"signature": 1},
		},
		"the raw key": {
			callOf{callback: "events", body: batch, token: "good", signature: rawSign(batch)}, taken(2, 0), 2, nil, map[string]int64{"signature with the raw key": 1},
		},
		"the key before": {
			callOf{callback: "events", body: batch, token: "good", signature: sfmc.SignEvents(oldKey, []byte(batch))}, taken(2, 0), 2, nil, map[string]int64{"signature": 1},
		},
		"token alone": {
			callOf{callback: "events", body: batch, token: "good"}, taken(2, 0), 2, nil, map[string]int64{"token": 1},
		},
		"token, the key not known yet": {
			callOf{callback: "fresh", body: batch, token: "good", signature: sign(batch)}, taken(2, 0), 2, nil, map[string]int64{"token": 1},
		},
		"signature alone": {
			callOf{callback: "signed", body: batch, signature: sign(batch)}, taken(2, 0), 2, nil, map[string]int64{"signature": 1},
		},
		"a token that nobody asked for": {
			callOf{callback: "signed", body: batch, token: "bad", signature: sign(batch)}, taken(2, 0), 2, nil, map[string]int64{"signature": 1},
		},
		"bare event": {
			callOf{callback: "signed", body: open, signature: sign(open)}, taken(1, 0), 1, nil, map[string]int64{"signature": 1},
		},
		"twice in one batch": {
			callOf{callback: "events", body: "[" + open + "," + open + "]", token: "good"}, taken(1, 1), 1, nil, map[string]int64{"token": 1},
		},
		"unknown types and values": {
			callOf{callback: "events", body: `[` + strange + `,17,"x",null,[]]`, token: "good"}, taken(5, 0), 5, nil, map[string]int64{"token": 1},
		},
		"no event": {
			callOf{callback: "events", body: `[]`, token: "good"}, taken(0, 0), 0, nil, map[string]int64{"token": 1},
		},
		"an event with the fields of a probe": {
			callOf{callback: "events", body: `{"callbackId":"x","verificationKey":"y","eventCategoryType":"A.B"}`, token: "good"},
			taken(1, 0), 1, nil,
			map[string]int64{"token": 1},
		},
		"no token": {
			callOf{callback: "events", body: batch, signature: sign(batch)},
			denied("the access token is not valid", `Bearer realm="onramp"`), 0,
			map[onramp.Refusal]int64{"token: unknown": 1},
			nil,
		},
		"bad token": {
			callOf{callback: "events", body: batch, token: "bad", signature: sign(batch)},
			denied("the access token is not valid", invalid), 0,
			map[onramp.Refusal]int64{"token: unknown": 1},
			nil,
		},
		"the token of another client": {
			callOf{callback: "events", body: batch, token: "other", signature: sign(batch)},
			denied("the access token is for another callback", invalid), 0,
			map[onramp.Refusal]int64{"token": 1},
			nil,
		},
		"forged": {
			callOf{callback: "events", body: batch, token: "good", signature: sfmc.SignEvents("AAAA", []byte(batch))},
			refusal(403, "the signature does not match"), 0,
			map[onramp.Refusal]int64{"wrong signature": 1},
			nil,
		},
		"one byte changed": {
			callOf{callback: "signed", body: changed, signature: sign(batch)},
			refusal(403, "the signature does not match"), 0,
			map[onramp.Refusal]int64{"wrong signature": 1},
			nil,
		},
		"signed by nobody": {
			callOf{callback: "signed", body: batch}, refusal(403, "the batch is not signed"), 0, map[onramp.Refusal]int64{"no signature": 1}, nil,
		},
		"not set up yet": {
			callOf{callback: "unset", body: batch, signature: sign(batch)}, later, 0, map[onramp.Refusal]int64{"no signature key": 1}, nil,
		},
		"a token where a signature is demanded": {
			callOf{callback: "strict", body: batch, token: "good"}, refusal(403, "the batch is not signed"), 0, map[onramp.Refusal]int64{"no signature": 1}, nil,
		},
		"a signature that can't be checked yet": {
			callOf{callback: "strict", body: batch, token: "good", signature: sign(batch)}, later, 0, map[onramp.Refusal]int64{"no signature key": 1}, nil,
		},
		"not JSON": {
			callOf{callback: "events", body: "[" + open, token: "good"},
			refusal(422, "the body is not a JSON array of events"), 0,
			map[onramp.Refusal]int64{"not a batch": 1},
			nil,
		},
		"a text": {
			callOf{callback: "events", body: `"x"`, token: "good"},
			refusal(422, "the body is not a JSON array of events"), 0,
			map[onramp.Refusal]int64{"not a batch": 1},
			nil,
		},
		"empty": {
			callOf{callback: "events", token: "good"},
			refusal(422, "the body is not a JSON array of events"), 0,
			map[onramp.Refusal]int64{"not a batch": 1},
			nil,
		},
		"a form": {
			callOf{callback: "events", body: batch, token: "good", headers: []string{"Content-Type", "application/x-www-form-urlencoded"}},
			refusal(415, "events must be sent as application/json"), 0,
			map[onramp.Refusal]int64{"content type": 1},
			nil,
		},
		"compressed by an unknown coding": {
			callOf{callback: "events", body: batch, token: "good", headers: []string{"Content-Encoding", "compress"}},
			refusal(415, "send the body without a content coding, or with gzip, deflate, br or zstd, and not more than two of them"), 0,
			map[onramp.Refusal]int64{"content type": 1},
			nil,
		},
		"not compressed": {
			callOf{callback: "events", body: batch, token: "good", headers: []string{"Content-Encoding", "gzip"}},
			refusal(422, "the body is not valid gzip"), 0,
			map[onramp.Refusal]int64{"broken off": 1},
			nil,
		},
		"compressed after it was signed": {
			callOf{callback: "signed", body: gzipped(batch), signature: sign(batch), headers: []string{"Content-Encoding", "gzip"}},
			taken(2, 0), 2, nil,
			map[string]int64{"signature": 1},
		},
		"signed after it was compressed": {
			callOf{callback: "signed", body: gzipped(batch), signature: sign(gzipped(batch)), headers: []string{"Content-Encoding", "gzip"}},
			refusal(403, "the signature does not match"), 0,
			map[onramp.Refusal]int64{"wrong signature": 1},
			nil,
		},
		"a bomb": {
			callOf{callback: "events", body: gzipped(strings.Repeat(" ", 17<<20)), token: "good", headers: []string{"Content-Encoding", "gzip"}},
			refusal(413, "the body is larger than 16 MiB"), 0,
			map[onramp.Refusal]int64{"too large": 1},
			nil,
		},
		"signed in another charset": {
			callOf{callback: "signed", body: inUTF16(batch), signature: sign(inUTF16(batch)), headers: []string{"Content-Type", "application/json; charset=utf-16le"}},
			taken(2, 0), 2, nil,
			map[string]int64{"signature": 1},
		},
		"an unknown charset": {
			callOf{callback: "events", body: batch, token: "good", headers: []string{"Content-Type", "application/json; charset=utf-7"}},
			refusal(415, "the charset is not known; send UTF-8, or another one of the WHATWG Encoding Standard"), 0,
			map[onramp.Refusal]int64{"content type": 1},
			nil,
		},
		"not in its charset": {
			callOf{callback: "events", body: inUTF16(batch) + "\x00\xd8", token: "good", headers: []string{"Content-Type", "application/json; charset=utf-16"}},
			refusal(422, "the body is not valid utf-16le"), 0,
			map[onramp.Refusal]int64{"content type": 1},
			nil,
		},
		"a byte order mark": {
			callOf{callback: "signed", body: "\ufeff" + batch, signature: sign("\ufeff" + batch)}, taken(2, 0), 2, nil, map[string]int64{"signature": 1},
		},
		"a careless content type": {
			callOf{callback: "events", body: batch, token: "good", headers: []string{"Content-Type", "application/json; charset="}},
			taken(2, 0), 2, nil,
			map[string]int64{"token": 1},
		},
		"another name for JSON": {
			callOf{callback: "events", body: batch, token: "good", headers: []string{"Content-Type", "Application/JSON; charset=UTF-8"}},
			taken(2, 0), 2, nil,
			map[string]int64{"token": 1},
		},
		"no content type": {
			callOf{callback: "events", body: batch, token: "good", headers: []string{"Content-Type", ""}}, taken(2, 0), 2, nil, map[string]int64{"token": 1},
		},
		"too large": {
			callOf{callback: "events", body: `["` + strings.Repeat("x", 16<<20) + `"]`, token: "good"},
			refusal(413, "the body is larger than 16 MiB"), 0,
			map[onramp.Refusal]int64{"too large": 1},
			nil,
		},
		"no such callback": {
			callOf{callback: "other", body: batch, token: "good"}, refusal(404, "there is nothing at this address"), 0, nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newReceiving(t)
			got := w.send(t, row.request)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
			c := row.request.callback
			if len(w.events) != row.events || cmp.Diff(row.refused, w.Refusals(c)) != "" || cmp.Diff(row.accepted, w.Taken(c)) != "" {
				t.Errorf("%d events, refused %v, accepted %v", len(w.events), w.Refusals(c), w.Taken(c))
			}
			if len(w.probes) > 0 {
				t.Error("taken for a probe")
			}
		})
	}
}

// What is stored is what came, byte for byte, with the sinks that take it.
func TestReceivedWhole(t *testing.T) {
	t.Parallel()
	w := newReceiving(t)
	body := " [" + open + " ,\n" + sent + "] "
	if got := w.send(t, callOf{callback: "signed", body: body, signature: sign(body)}); got != taken(2, 0) {
		t.Fatal(got)
	}
	at, _ := time.Parse(time.RFC3339, now)
	for _, want := range []string{open, sent} {
		e := onramp.ReadEvent([]byte(want))
		e.Callback, e.ReceivedAt, e.Sinks = "signed", at, []int{7}
		if want == open {
			e.Sinks = []int{7, 8}
		}
		if diff := cmp.Diff(e, w.events[e.ID]); diff != "" {
			t.Error(diff)
		}
	}
}

// A batch with too much in it is answered, and stored within bounds: nothing has
// Marketing Cloud send it again for a week.
func TestLargeBatch(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		body   string
		want   string
		events int
	}{
		"many zeros":  {`[` + strings.Repeat("0,", 50_000) + `0]`, `{"stored":2,"repeated":9999,"cut":1}`, 2},
		"a long type": {`[{"eventCategoryType":"` + strings.Repeat("a", 100_000) + `"},` + open + `]`, `{"stored":2,"repeated":0,"cut":1}`, 2},
		"a long text": {`{"eventCategoryType":"A.EmailOpen","x":"` + strings.Repeat("a", 1<<20) + `"}`, `{"stored":1,"repeated":0,"cut":1}`, 1},
	} {
		w := newReceiving(t)
		if diff := cmp.Diff(reply{Status: 200, Body: row.want}, w.send(t, callOf{callback: "signed", body: row.body, signature: sign(row.body)})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, e := range w.events {
			if len(e.Body) > 70_000 || len(e.Type) > 1024 {
				t.Errorf("%s: an event of %d bytes, with a type of %d", name, len(e.Body), len(e.Type))
			}
		}
		if len(w.events) != row.events {
			t.Errorf("%s: %d events", name, len(w.events))
		}
	}
}

// The probe comes before anything is known of the callback. It is answered with
// exactly 200, once its key is kept: that of a stranger only while it is expected.
func TestProbe(t *testing.T) {
	t.Parallel()
	const body = `{"callbackId":"0f3c","verificationKey":"` + oldKey + `"}`
	at, _ := time.Parse(time.RFC3339, now)
	for name, row := range map[string]struct {
		request  callOf
		expected bool
		broken   error
		want     reply
		kept     bool
	}{
		"with a token":      {callOf{callback: "fresh", body: body, token: "good"}, false, nil, reply{Status: 200}, true},
		"expected":          {callOf{callback: "fresh", body: body, token: "good"}, true, nil, reply{Status: 200}, true},
		"without a token":   {callOf{callback: "fresh", body: body}, true, nil, denied("the access token is not valid", `Bearer realm="onramp"`), false},
		"unsigned":          {callOf{callback: "unset", body: body}, true, nil, reply{Status: 200}, true},
		"unsigned, unasked": {callOf{callback: "unset", body: body}, false, nil, reply{Status: 200}, false},
		"more fields":       {callOf{callback: "unset", body: `{"callbackId":"0f3c","x":1,"verificationKey":"` + oldKey + `"}`}, true, nil, reply{Status: 200}, true},
		"no id":             {callOf{callback: "unset", body: `{"callbackId":"a\u0000","verificationKey":"k"}`}, true, nil, refusal(422, "the id or the key of the probe is not valid"), false},
		"no key at all":     {callOf{callback: "unset", body: `{"callbackId":"a","verificationKey":" "}`}, true, nil, refusal(422, "the id or the key of the probe is not valid"), false},
		"the disk broken":   {callOf{callback: "unset", body: body}, true, errors.New("disk"), reply{Status: 200}, true},
		"not kept": {
			callOf{callback: "fresh", body: body, token: "good"},
			false,
			errors.New("disk"),
			reply{503, refusal(503, "the events could not be stored in time; please send them again").Body, "", "5"},
			false,
		},
		"no key": {callOf{callback: "unset", body: `{"callbackId":"0f3c"}`}, true, nil, refusal(403, "the batch is not signed"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newReceiving(t)
			w.broken = row.broken
			if row.expected {
				w.ExpectProbes(t.Context(), row.request.callback)
			}
			if diff := cmp.Diff(row.want, w.send(t, row.request)); diff != "" {
				t.Error(diff)
			}
			var want []onramp.Probe
			if row.kept {
				want = []onramp.Probe{{Callback: row.request.callback, CallbackID: "0f3c", VerificationKey: oldKey, ReceivedAt: at, Proven: row.request.token != ""}}
			}
			got, err := w.Receiver.ListProbes(t.Context(), row.request.callback)
			if err != nil || fmt.Sprint(want) != fmt.Sprint(got) || row.kept && got[0].VerificationKey.Reveal() != oldKey || len(w.events) > 0 {
				t.Errorf("kept %v, %v; want %v", got, err, want)
			}
		})
	}
}

// While a callback is set up its first probes are held, whatever comes after them:
// for each id the first few keys, and those with a token before all others.
func TestHeldProbes(t *testing.T) {
	t.Parallel()
	w := newReceiving(t)
	ctx, end := context.WithCancel(t.Context())
	w.ExpectProbes(ctx, "unset")
	w.ExpectProbes(t.Context(), "signed")
	send := func(callback, id, key string) int {
		return w.send(t, callOf{callback: callback, body: fmt.Sprintf(`{"callbackId":%q,"verificationKey":%q}`, id, key)}).Status
	}
	var first []string
	for i := range 5 {
		if status := send("unset", []string{"real", "REAL"}[i%2], fmt.Sprint("k", i)); status != map[bool]int{true: 200, false: 503}[i < 3] {
			t.Errorf("key %d of an id: %d", i, status)
		}
	}
	if status := send("unset", "real", "k2"); status != 200 {
		t.Errorf("a probe that is repeated: %d", status)
	}
	for i := range 20_000 {
		send("unset", fmt.Sprint("flood", i), "k")
	}
	if status := send("unset", "late", "k"); status != 503 {
		t.Errorf("beyond all bounds: %d", status)
	}
	if status := send("signed", "other", "k"); status != 200 {
		t.Errorf("another callback: %d", status)
	}
	held, err := w.Receiver.ListProbes(t.Context(), "unset")
	for _, p := range held[:4] {
		first = append(first, p.CallbackID+" "+p.VerificationKey.Reveal())
	}
	if diff := cmp.Diff([]string{"real k0", "REAL k1", "real k2", "flood0 k"}, first); diff != "" || err != nil || len(held) != 20_000 {
		t.Error(diff, err, len(held))
	}
	end()
	for deadline := time.Now().Add(10 * time.Second); len(held) > 0 && time.Now().Before(deadline); runtime.Gosched() {
		held, _ = w.Receiver.ListProbes(t.Context(), "unset")
	}
	if len(held) > 0 || len(w.probes) > 0 {
		t.Errorf("%d are held and %d saved after the end", len(held), len(w.probes))
	}
}

// A stolen token doesn't make the database take any number of probes.
func TestSavedProbes(t *testing.T) {
	t.Parallel()
	w := newReceiving(t)
	statuses := map[int]int{}
	for i := range 60 {
		statuses[w.send(t, callOf{callback: "fresh", token: "good", body: fmt.Sprintf(`{"callbackId":"c%d","verificationKey":"k"}`, i)}).Status]++
	}
	if diff := cmp.Diff(map[int]int{200: 50, 503: 10}, statuses); diff != "" || len(w.probes) != 50 {
		t.Error(diff, len(w.probes))
	}
}

// Whether a token is enough after a batch with a signature, the configuration says; what
// no signature has proved is stored as such.
func TestUnsigned(t *testing.T) {
	t.Parallel()
	for callback, want := range map[string][]int{"events": {200, 200, 403}, "lenient": {200, 200, 200}} {
		w := newReceiving(t)
		var got []int
		for i, signed := range []bool{false, true, false} {
			call := callOf{callback: callback, token: "good", body: fmt.Sprintf(`[{"eventCategoryType":"A.%d"}]`, i)}
			if signed {
				call.signature = sign(call.body)
			}
			got = append(got, w.send(t, call).Status)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", callback, diff)
		}
		for _, e := range w.events {
			if e.Unproven != (e.Type != "A.1") {
				t.Errorf("%s: %s is unproven: %v", callback, e.Type, e.Unproven)
			}
		}
	}
}

// The sender is asked to repeat what could not be stored, in words that reveal
// nothing.
func TestNotStored(t *testing.T) {
	t.Parallel()
	w := newReceiving(t)
	w.broken = &onramp.Error{Kind: onramp.Unavailable, Message: "x", RetryAfter: 9 * time.Second, Err: errors.New("disk full")}
	want := refusal(503, "the events could not be stored; please send them again")
	want.Retry = "9"
	if diff := cmp.Diff(want, w.send(t, callOf{callback: "events", body: batch, token: "good"})); diff != "" {
		t.Error(diff)
	}
}

// A key that another process has just got is read when a signature needs it.
func TestKeyReread(t *testing.T) {
	t.Parallel()
	w := newReceiving(t)
	at, _ := time.Parse(time.RFC3339, now)
	clock := at
	w.Receiver = ens.NewReceiver(ens.ReceiverConfig{
		Callbacks: []onramp.Callback{{Name: "unset", Auth: onramp.SignatureOnly}}, Events: w.memory, Records: w.memory, Tokens: tokens{},
		Now: func() time.Time { return clock }, Log: slog.New(slog.DiscardHandler),
	})
	mux := http.NewServeMux()
	w.Routes(mux, &web.Server{Log: slog.New(slog.DiscardHandler)})
	w.handler = mux
	call := callOf{callback: "unset", body: batch, signature: sign(batch)}
	if got := w.send(t, call); got.Status != 503 {
		t.Fatal(got)
	}
	w.records = append(w.records, onramp.CallbackRecord{Name: "unset", SignatureKeys: []onramp.Secret{key}})
	if got := w.send(t, call); got.Status != 503 {
		t.Errorf("read again at once: %v", got)
	}
	clock = clock.Add(3 * time.Second)
	if got := w.send(t, call); got != taken(2, 0) {
		t.Error(got)
	}
}

// Whatever strangers send, the answer is one that Marketing Cloud understands: never a
// 400 or 401 for the content, nor a 5xx. Nothing is stored that was not proved, and
// what is stored or held is within bounds.
func FuzzReceive(f *testing.F) {
	f.Add([]byte(batch), sign(batch), false)
	f.Add([]byte(batch), "", true)
	f.Add([]byte(`{"callbackId":"a","verificationKey":"b"}`), "", false)
	f.Add([]byte(`{"callbackId":"a\u0000b","verificationKey":"b"}`), "", false)
	f.Add([]byte(`{"callbackId":"a","verificationKey":"\ud800"}`), "", true)
	f.Add([]byte(`{"callbackId":1}`), "====", false)
	f.Add([]byte(`[`+strings.Repeat("0,", 10_100)+`0]`), "", true)
	f.Add([]byte(`{"eventCategoryType":"`+strings.Repeat("*", 70_000)+`"}`), "", true)
	f.Add([]byte(strings.Repeat("[", 20_000)), "", true)
	f.Fuzz(func(t *testing.T, body []byte, signature string, token bool) {
		if strings.ContainsAny(signature, "\r\n\x00") {
			return
		}
		w := newReceiving(t)
		call := callOf{callback: "signed", body: string(body), signature: signature}
		if token {
			call.callback, call.token = "fresh", "good"
		}
		w.ExpectProbes(t.Context(), call.callback)
		got := w.send(t, call)
		probes, _ := w.Receiver.ListProbes(t.Context(), call.callback)
		for _, p := range probes {
			if !onramp.ValidID(p.CallbackID) || !onramp.ValidID(p.VerificationKey.Reveal()) || p.Proven != token {
				t.Errorf("held %+v", p)
			}
		}
		for _, e := range w.events {
			if len(e.Body) > 160<<10 || len(e.Type) > 1<<10 || !json.Valid(e.Body) {
				t.Errorf("stored %d bytes of type %.20q", len(e.Body), e.Type)
			}
		}
		_, proved := sfmc.VerifySignature(key, body, signature)
		proved = proved || token
		_, err := onramp.ReadBatch(t.Context(), body)
		isBatch := err == nil
		mayBeProbe := bytes.Contains(body, []byte("{"))
		switch {
		case got.Status == 200 && len(probes) == 1 && len(w.events) == 0:
		case got.Status == 200 && proved && isBatch && len(probes) == 0:
		case got.Status == 403 && !proved && len(w.events)+len(probes) == 0:
		case got.Status == 422 && (proved && !isBatch || mayBeProbe) && len(w.events)+len(probes) == 0:
		default:
			t.Errorf("%d for %q, proved: %v", got.Status, body, proved)
		}
	})
}
