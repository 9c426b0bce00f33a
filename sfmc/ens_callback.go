package sfmc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

const callbacksPath = "platform/v1/ens-callbacks"

// Callback is a webhook that the Event Notification Service sends events to.
type Callback struct {
	// CallbackID is Marketing Cloud's id of the callback.
	CallbackID string
	// CallbackName is its name.
	CallbackName string
	// URL is where events go: https://HOST or https://HOST/PATH, with no port
	// and no query, and not that of another callback. It cannot be changed.
	URL string
	// MaxBatchSize is the number of events that come in one request at most, 100
	// to 1,000. 0 leaves it to Marketing Cloud, which takes 1,000.
	MaxBatchSize int
	// AuthID is the id of the [AuthScheme] by which Marketing Cloud proves
	// itself. Empty means that only the signature does.
	AuthID string
	// SignatureKey signs the events: base64 of 32 bytes, for [VerifySignature].
	// Marketing Cloud shows it when the callback or the key is created, and never
	// again.
	SignatureKey Secret
	// Status is "verified" when the callback may have subscriptions. What it is
	// before that is not documented.
	Status string
	// StatusReason says why; often "none" or empty.
	StatusReason string
}

// Verified reports whether the callback is verified: only then can it have
// subscriptions.
func (c Callback) Verified() bool { return strings.EqualFold(c.Status, "verified") }

type callbackRequest struct {
	CallbackID   string `json:"callbackId,omitempty"`
	CallbackName string `json:"callbackName"`
	URL          string `json:"url,omitempty"`
	MaxBatchSize int    `json:"maxBatchSize,omitempty"`
	AuthID       string `json:"authId,omitempty"`
}

// CreateCallback registers a webhook: POST /platform/v1/ens-callbacks (vendor page
// "Create Callback"). It needs the scope event_notification_callback_create.
//
// Before it answers, Marketing Cloud posts {"callbackId": …, "verificationKey": …}
// to the URL, with a token if there is an AuthID, and waits up to 30 seconds for
// the status 200, exactly. So the receiver has to be up before the call, and meets
// a callback id that it cannot know yet and a request that is not signed. The key
// in it goes to [Client.VerifyCallback] within four hours.
//
// Give the call time: a context or an HTTP client that ends it within less than
// about 40 seconds can lose the answer, and with it the signature key, of a callback
// that is made. The default client waits 60 seconds.
//
// It returns the callback with its CallbackID and SignatureKey. Keep the key: it is
// not shown again, and [Client.RegenerateSignatureKey] makes another. What the answer
// leaves out is as it was sent; CallbackID, SignatureKey and the status are not
// sent. If the probe fails, the error is an [*Error] with Status 400, and a
// half-made callback stays, which has to be deleted before the URL can be tried
// again: see [FailedCallbackID]. One with Status 304 says that the callback exists
// already. A 2xx answer that lacks the id or the signature key is one with
// [ErrAnswer]; beside that error the callback is returned with whichever of the two
// there was, so that it can be deleted or given another key. A missing name or URL
// is refused with [ErrInvalid] before anything is sent.
func (c *Client) CreateCallback(ctx context.Context, cb Callback) (Callback, error) {
	switch {
	case cb.CallbackName == "":
		return Callback{}, fmt.Errorf("%s: name: %w: empty", OpCreateCallback, ErrInvalid)
	case cb.URL == "":
		return Callback{}, fmt.Errorf("%s: url: %w: empty", OpCreateCallback, ErrInvalid)
	case cb.MaxBatchSize < 0:
		return Callback{}, fmt.Errorf("%s: batch size %d: %w", OpCreateCallback, cb.MaxBatchSize, ErrInvalid)
	}
	cb.CallbackID, cb.SignatureKey, cb.Status, cb.StatusReason = "", "", "", ""
	a, err := c.submit(ctx, OpCreateCallback, http.MethodPost, callbacksPath, []callbackRequest{{
		CallbackName: cb.CallbackName,
		URL:          cb.URL,
		MaxBatchSize: cb.MaxBatchSize,
		AuthID:       cb.AuthID,
	}})
	if err != nil {
		return Callback{}, err
	}
	return a.keyedCallback(cb)
}

// UpdateCallback changes name, batch size and authentication scheme of a callback:
// PUT /platform/v1/ens-callbacks (vendor page "Update Callback"). It needs the scope
// event_notification_callback_update. A change takes up to two minutes to show.
//
// CallbackID and CallbackName are needed; a MaxBatchSize of 0 and an empty AuthID
// are left out, and presumably change nothing. How a scheme is taken off again
// is not documented. Nothing else of the callback is sent: its URL cannot be
// changed.
//
// It returns the callback; what the answer leaves out is as it was given. A 304, by
// which Marketing Cloud says that the callback is so already, is success. A callback
// that does not exist is an [*Error] with Status 404. A missing id or name is
// refused with [ErrInvalid] before anything is sent.
func (c *Client) UpdateCallback(ctx context.Context, cb Callback) (Callback, error) {
	if err := checkID("callback", cb.CallbackID); err != nil {
		return Callback{}, fmt.Errorf("%s: %w", OpUpdateCallback, err)
	}
	switch {
	case cb.CallbackName == "":
		return Callback{}, fmt.Errorf("%s: name: %w: empty", OpUpdateCallback, ErrInvalid)
	case cb.MaxBatchSize < 0:
		return Callback{}, fmt.Errorf("%s: batch size %d: %w", OpUpdateCallback, cb.MaxBatchSize, ErrInvalid)
	}
	a, err := c.submit(ctx, OpUpdateCallback, http.MethodPut, callbacksPath, []callbackRequest{{
		CallbackID:   cb.CallbackID,
		CallbackName: cb.CallbackName,
		MaxBatchSize: cb.MaxBatchSize,
		AuthID:       cb.AuthID,
	}})
	if err != nil {
		return Callback{}, err
	}
	if a.isUnchanged() {
		return cb, nil
	}
	m, err := a.record("callbackId")
	if err != nil {
		return Callback{}, err
	}
	return a.callback(m, cb), nil
}

// ListCallbacks lists the callbacks of the business unit, without their signature
// keys: GET /platform/v1/ens-callbacks (vendor page "Get All Callbacks"). It needs
// the scope event_notification_callback_read. A 404 of Marketing Cloud's own,
// "Callback doesn't exist", means that there are none.
func (c *Client) ListCallbacks(ctx context.Context) ([]Callback, error) {
	a, err := c.call(ctx, OpListCallbacks, http.MethodGet, callbacksPath, nil)
	if err != nil {
		return nil, err
	}
	if a.isNone() {
		return []Callback{}, nil
	}
	ms, err := a.records("callbackId")
	if err != nil {
		return nil, err
	}
	callbacks := make([]Callback, len(ms))
	for i, m := range ms {
		callbacks[i] = a.callback(m, Callback{})
	}
	return callbacks, nil
}

// FindCallback gives one callback, without its signature key: GET
// /platform/v1/ens-callbacks/ID (vendor page "Get Callback"). It needs the scope
// event_notification_callback_read. If there is none of that id, it is an [*Error]
// with Status 404. An empty id is refused with [ErrInvalid].
func (c *Client) FindCallback(ctx context.Context, callbackID string) (Callback, error) {
	a, err := c.aboutOne(ctx, OpFindCallback, http.MethodGet, callbacksPath, "callback", callbackID)
	if err != nil {
		return Callback{}, err
	}
	m, err := a.record("callbackId")
	if err != nil {
		return Callback{}, err
	}
	return a.callback(m, Callback{}), nil
}

// DeleteCallback deletes a callback: DELETE /platform/v1/ens-callbacks/ID (vendor
// page "Delete Callback"). It needs the scope event_notification_callback_delete.
// While the callback has subscriptions it is an [*Error] with Status 409, and one
// with 404 if there is no such callback. An empty id is refused with [ErrInvalid].
func (c *Client) DeleteCallback(ctx context.Context, callbackID string) error {
	a, err := c.aboutOne(ctx, OpDeleteCallback, http.MethodDelete, callbacksPath, "callback", callbackID)
	if err != nil {
		return err
	}
	return a.done()
}

type verifyRequest struct {
	CallbackID      string `json:"callbackId"`
	VerificationKey string `json:"verificationKey"`
}

// VerifyCallback proves to Marketing Cloud that a callback's URL is the caller's,
// by the key that it posted there while the callback was made: POST
// /platform/v1/ens-verify (vendor page "Verify Callback"). It needs the scope
// event_notification_callback_update.
//
// The key is good once, and for four hours; after that, delete the callback and
// create it again. If id or key is wrong, it is an [*Error] with Status 404. A repeated
// call, as after an answer that was lost, may be answered so, too: then
// [Client.FindCallback] reports whether the callback is verified. An empty id or key
// is refused with [ErrInvalid].
func (c *Client) VerifyCallback(ctx context.Context, callbackID string, verificationKey Secret) error {
	switch "" {
	case callbackID:
		return fmt.Errorf("%s: callback id: %w: empty", OpVerifyCallback, ErrInvalid)
	case verificationKey.Reveal():
		return fmt.Errorf("%s: verification key: %w: empty", OpVerifyCallback, ErrInvalid)
	}
	in := verifyRequest{CallbackID: callbackID, VerificationKey: verificationKey.Reveal()}
	a, err := c.submit(ctx, OpVerifyCallback, http.MethodPost, "platform/v1/ens-verify", in, verificationKey)
	if err != nil {
		return err
	}
	return a.done()
}

type regenerateRequest struct {
	CallbackID string `json:"callbackId"`
}

// RegenerateSignatureKey makes another signature key for a callback: PUT
// /platform/v1/ens-regenerate (vendor page "Regenerate Signature Key"). It needs the
// scope event_notification_callback_update.
//
// The old key is dead at once, though requests that were signed with it may still
// be under way. It returns the callback with the new key, which is not shown again. A
// callback that does not exist is an [*Error] with Status 404. A 2xx answer without
// a key is one with [ErrAnswer]: the key may have changed, so repeat the call. An
// empty id is refused with [ErrInvalid].
func (c *Client) RegenerateSignatureKey(ctx context.Context, callbackID string) (Callback, error) {
	if callbackID == "" {
		return Callback{}, fmt.Errorf("%s: callback id: %w: empty", OpRegenerateSignatureKey, ErrInvalid)
	}
	in := regenerateRequest{CallbackID: callbackID}
	a, err := c.submit(ctx, OpRegenerateSignatureKey, http.MethodPut, "platform/v1/ens-regenerate", in)
	if err != nil {
		return Callback{}, err
	}
	cb, err := a.keyedCallback(Callback{CallbackID: callbackID})
	if err != nil {
		return Callback{}, err
	}
	return cb, nil
}

// failedProbe is what Marketing Cloud says of a callback whose probe failed: "…
// CallbackId is 08b67f0e-…. Could not verify callback url …".
var failedProbe = regexp.MustCompile(`(?i)\bcallbackid is ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b`)

// FailedCallbackID gives the id of the callback that [Client.CreateCallback] left
// behind when the probe failed: Marketing Cloud names it nowhere but in the message
// of that error, where it asks to delete it (vendor page "Create Callback"). It is
// empty for any other error.
func FailedCallbackID(err error) string {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Op != OpCreateCallback {
		return ""
	}
	messages := []string{e.Message}
	for _, d := range e.Additional {
		messages = append(messages, d.Message)
	}
	for _, m := range messages {
		if found := failedProbe.FindStringSubmatch(m); found != nil {
			return found[1]
		}
	}
	return ""
}

// keyedCallback reads an answer that has a signature key. What it leaves out is
// as in the other.
func (a *answer) keyedCallback(other Callback) (Callback, error) {
	m, err := a.record("")
	if err != nil {
		return Callback{}, err
	}
	cb := a.callback(m, other)
	switch {
	case cb.CallbackID == "" && cb.SignatureKey == "":
		return Callback{}, a.unfit("no callback id and no signature key")
	case cb.CallbackID == "":
		return cb, a.unfit("no callback id")
	case cb.SignatureKey == "":
		return cb, a.unfit("no signature key")
	}
	return cb, nil
}

// callback reads a callback; what m leaves out is as in the other.
func (a *answer) callback(m map[string]any, other Callback) Callback {
	return Callback{
		CallbackID:   cmp.Or(a.cut(text(m, "callbackId")), other.CallbackID),
		CallbackName: cmp.Or(a.cut(text(m, "callbackName")), other.CallbackName),
		URL:          cmp.Or(a.cut(text(m, "url")), other.URL),
		MaxBatchSize: cmp.Or(whole(m, "maxBatchSize"), other.MaxBatchSize),
		AuthID:       cmp.Or(a.cut(text(m, "authId")), other.AuthID),
		SignatureKey: cmp.Or(Secret(strings.TrimSpace(word(m, "signatureKey"))), other.SignatureKey),
		Status:       cmp.Or(a.cut(text(m, "status")), other.Status),
		StatusReason: cmp.Or(a.cut(text(m, "statusReason")), other.StatusReason),
	}
}
