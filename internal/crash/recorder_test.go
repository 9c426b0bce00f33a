package crash_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The steps of a route, as the recorder tells them apart.
const (
	row   = "row"   // in a data extension
	event = "event" // of a journey
)

// recorder stands between a gateway and its sandbox, and counts the rows and
// events in calls that were answered 2xx: what a gateway or a sandbox that is
// killed knows of them is lost.
type recorder struct {
	url string

	mu       sync.Mutex
	upstream *url.URL
	gate     chan struct{}             // calls wait until it is closed; nil: they don't
	beyond   int                       // calls that have passed the gate and are under way
	ended    *sync.Cond                // the last of them
	arrived  map[string]map[string]int // by step and what called returns
	firsts   []string                  // of the rows, as each of them arrived first
	odd      []string                  // calls that it could not read
}

func newRecorder(t *testing.T, upstream string) *recorder {
	t.Helper()
	r := &recorder{}
	r.ended = sync.NewCond(&r.mu)
	r.forget()
	r.pointTo(t, upstream)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			r.mu.Lock()
			defer r.mu.Unlock()
			p.SetURL(r.upstream)
		},
		ModifyResponse: r.answered,
		// no answer from there is no answer here
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
		Transport:    &http.Transport{MaxIdleConnsPerHost: 64},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the gateway was killed
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		r.pass(request)
		defer r.end()
		request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		proxy.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// hold has all calls wait until release is called. Those under way have ended when it returns.
func (r *recorder) hold() (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gate := make(chan struct{})
	r.gate = gate
	for r.beyond > 0 {
		r.ended.Wait()
	}
	return sync.OnceFunc(func() { close(gate) })
}

// pass waits at the gate, as long as the caller does.
func (r *recorder) pass(request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if gate := r.gate; gate != nil {
		r.mu.Unlock()
		select {
		case <-gate:
		case <-request.Context().Done():
		}
		r.mu.Lock()
	}
	r.beyond++
}

func (r *recorder) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.beyond--; r.beyond == 0 {
		r.ended.Broadcast()
	}
}

// pointTo changes the sandbox.
func (r *recorder) pointTo(t *testing.T, upstream string) {
	t.Helper()
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.upstream = u
}

// forget resets the counts.
func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrived, r.firsts = map[string]map[string]int{row: {}, event: {}}, nil
}

// count is how often a step of a registration was delivered.
func (r *recorder) count(step, registration string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.arrived[step][registration]
}

// rows is how many rows were delivered.
func (r *recorder) rows() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, times := range r.arrived[row] {
		n += times
	}
	return n
}

// order lists the rows in the order in which each of them arrived first.
func (r *recorder) order() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.firsts)
}

// misread lists the calls that hold nothing the recorder knows.
func (r *recorder) misread() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.odd
}

func (r *recorder) answered(response *http.Response) error {
	request := response.Request
	if response.StatusCode/100 != 2 || request.Method == http.MethodGet || request.GetBody == nil {
		return nil
	}
	body, err := request.GetBody()
	if err != nil {
		return err
	}
	step, keys, err := registrations(request.URL.Path, body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.odd = append(r.odd, request.URL.Path+": "+err.Error())
	}
	for _, key := range keys {
		if r.arrived[step][key]++; step == row && r.arrived[row][key] == 1 {
			r.firsts = append(r.firsts, key)
		}
	}
	return nil
}

// called is what a registration is called here: by its subscriber key, and by the
// number that tells several of a person apart.
func called(subscriberKey, number string) string {
	if number == "" {
		return subscriberKey
	}
	return subscriberKey + " " + number
}

// registrations reads what a call is about, and nothing from calls that deliver
// nothing.
func registrations(path string, body io.Reader) (step string, keys []string, err error) {
	decode := json.NewDecoder(body).Decode
	switch {
	case strings.HasPrefix(path, "/hub/v1/dataevents/"): // …/key:KEY/rowset
		var rows []struct {
			Keys   struct{ SubscriberKey string }
			Values struct{ FirstName string }
		}
		err = decode(&rows)
		for i := range rows {
			keys = append(keys, called(rows[i].Keys.SubscriberKey, rows[i].Values.FirstName))
		}
		return row, keys, err
	case strings.HasPrefix(path, "/data/v1/async/dataextensions/"): // …/key:KEY/rows
		var request struct {
			Items []struct{ SubscriberKey, FirstName string }
		}
		err = decode(&request)
		for i := range request.Items {
			keys = append(keys, called(request.Items[i].SubscriberKey, request.Items[i].FirstName))
		}
		return row, keys, err
	case strings.HasPrefix(path, "/interaction/v1/events"):
		var one struct{ ContactKey string }
		err = decode(&one)
		return event, []string{one.ContactKey}, err
	case strings.HasPrefix(path, "/interaction/v1/async/events"):
		var request struct {
			Members []struct {
				ContactKey string `json:"contactKey"`
			}
		}
		err = decode(&request)
		for i := range request.Members {
			keys = append(keys, request.Members[i].ContactKey)
		}
		return event, keys, err
	}
	return "", nil, nil
}

// What each call holds, by the vendor's names.
func TestRecorder(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Refuse") != "" {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer upstream.Close()
	r := newRecorder(t, upstream.URL)
	post := func(path, body string, refuse bool) {
		request, err := http.NewRequest(http.MethodPost, r.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if refuse {
			request.Header.Set("Refuse", "yes")
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	for path, body := range map[string]string{
		"/hub/v1/dataevents/key:K/rowset":           `[{"keys":{"SubscriberKey":"A"},"values":{}},{"keys":{"SubscriberKey":"B"},"values":{}}]`,
		"/data/v1/async/dataextensions/key:K/rows":  `{"items":[{"SubscriberKey":"A"},{"SubscriberKey":"C"}]}`,
		"/interaction/v1/events":                    `{"ContactKey":"A","EventDefinitionKey":"E"}`,
		"/interaction/v1/async/events":              `{"eventDefinitionKey":"E","members":[{"contactKey":"B","data":{}},{"contactKey":"C","data":{}}]}`,
		"/v2/token":                                 `{"grant_type":"client_credentials"}`,
		"/hub/v1/dataevents/key:K/rowset?unread=it": `not JSON`,
	} {
		post(path, body, false)
		post(path, body, true)
	}
	for key, want := range map[string][2]int{"A": {2, 1}, "B": {1, 1}, "C": {1, 1}} {
		if got := [2]int{r.count(row, key), r.count(event, key)}; got != want {
			t.Errorf("%s has %d rows and %d events, want %v", key, got[0], got[1], want)
		}
	}
	if len(r.misread()) != 1 {
		t.Errorf("misread: %q, want the one that is not JSON", r.misread())
	}
	upstream.Close()
	if response, err := http.Post(r.url+"/v2/token", "application/json", strings.NewReader("{}")); err == nil {
		response.Body.Close()
		t.Errorf("without a sandbox it answers %s", response.Status)
	}
}
