package screen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"onramp/internal/onramp"
	"onramp/internal/visible"
)

// hook asks the site's own service. It is signed as Standard Webhooks 1.0.0 has it.
type hook struct {
	settings Hook
	key      *standardwebhooks.Webhook
	client   *http.Client
	breaker  breaker
	slots    chan struct{}
}

const (
	hookAtOnce = 32 // questions; beyond that none is asked
	maxReason  = 200
)

func newHook(s Hook, client *http.Client) (*hook, error) {
	raw, ok := onramp.ParseWebhookSecret(s.Secret)
	if !ok {
		return nil, errors.New("hook: secret: must be whsec_ and the base64 of 24 to 64 bytes")
	}
	key, err := standardwebhooks.NewWebhookRaw(raw)
	if err != nil {
		return nil, fmt.Errorf("hook: secret: %w", err)
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &hook{settings: s, key: key, client: &own, slots: make(chan struct{}, hookAtOnce)}, nil
}

// question is what the service is asked.
type question struct {
	Type      string       `json:"type"` // registration.screen
	Timestamp time.Time    `json:"timestamp"`
	Data      questionData `json:"data"`
}

type questionData struct {
	ID            string          `json:"id"`
	Form          string          `json:"form"`
	SubscriberKey string          `json:"subscriber_key"`
	Fields        json.RawMessage `json:"fields"`
	IP            string          `json:"ip"`
	UserAgent     string          `json:"user_agent"`
}

// hookAnswer is what it answers.
type hookAnswer struct {
	Verdict string `json:"verdict"` // accept, hold or refuse
	Reason  string `json:"reason"`  // for operators
}

// The verdicts of a hook.
const (
	hookAccept = "accept"
	hookHold   = "hold"
	hookRefuse = "refuse"
)

var (
	errHookBusy   = errors.New("too many questions to the hook at once")
	errHookPaused = errors.New("the hook has failed and is not asked for a moment")
)

// ask asks about a registration. The error says that it could not be asked.
func (h *hook) ask(ctx context.Context, s *Submission) (hookAnswer, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return hookAnswer{}, errHookBusy
	}
	if !h.breaker.allows(s.At) {
		return hookAnswer{}, errHookPaused
	}
	answer, err := h.post(ctx, s)
	h.breaker.note(err == nil, s.At)
	return answer, err
}

func (h *hook) post(ctx context.Context, s *Submission) (a hookAnswer, err error) {
	ctx, stop := context.WithTimeout(ctx, h.settings.Timeout)
	defer stop()
	r := s.Registration
	body, err := json.Marshal(question{"registration.screen", r.ReceivedAt, questionData{r.ID, r.Form, r.SubscriberKey, r.Values, s.IP, s.UserAgent}})
	if err != nil {
		return a, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.settings.URL, bytes.NewReader(body))
	if err != nil {
		return a, errors.New("its URL can't be asked")
	}
	signature, err := h.key.Sign(r.ID, s.At, body)
	if err != nil {
		return a, fmt.Errorf("sign: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Onramp")
	request.Header.Set(standardwebhooks.HeaderWebhookID, r.ID)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(s.At.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	response, err := h.client.Do(request)
	if err != nil {
		return a, withoutURL(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxVerdict))
	if err != nil {
		return a, withoutURL(err)
	}
	if response.StatusCode != http.StatusOK {
		return a, fmt.Errorf("it answered with status %d", response.StatusCode)
	}
	return readHookAnswer(answer)
}

var errHookAnswer = errors.New(`its answer is not JSON with a verdict: accept, hold or refuse`)

// readHookAnswer reads an answer. The reason is made one short line.
func readHookAnswer(body []byte) (a hookAnswer, err error) {
	if json.Unmarshal(body, &a) != nil {
		return hookAnswer{}, errHookAnswer
	}
	switch a.Verdict {
	case hookAccept, hookHold, hookRefuse:
	default:
		return hookAnswer{}, errHookAnswer
	}
	words := strings.FieldsFunc(strings.ToValidUTF8(a.Reason, ""), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	a.Reason = visible.Trim(strings.Join(words, " "))
	for len(a.Reason) > maxReason {
		_, size := utf8.DecodeLastRuneInString(a.Reason)
		a.Reason = a.Reason[:len(a.Reason)-size]
	}
	return a, nil
}

// breaker stops asking a service that fails: after five failures in a row for ten seconds,
// doubling to a minute as long as the first question after that fails, too.
type breaker struct {
	mu     sync.Mutex
	failed int
	until  time.Time
	pause  time.Duration
}

const (
	breakAfter = 5
	breakFor   = 10 * time.Second
	breakMost  = time.Minute
)

func (b *breaker) allows(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < breakAfter {
		return true
	}
	if now.Before(b.until) {
		return false
	}
	b.until = now.Add(b.pause) // one may try; the others wait for its answer
	return true
}

func (b *breaker) note(worked bool, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if worked {
		b.failed, b.pause = 0, 0
		return
	}
	if b.failed++; b.failed < breakAfter {
		return
	}
	b.pause = min(max(2*b.pause, breakFor), breakMost)
	b.until = now.Add(b.pause)
}
