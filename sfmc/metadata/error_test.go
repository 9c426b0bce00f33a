package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
	"onramp/sfmc/metadata"
)

// What an error of this package tells.
type told struct {
	Text     string
	Op       string
	Status   int
	Code     int
	CodeText string
	Scope    string // of a ScopeError
	NotFound bool
	Answer   bool // ErrAnswer
	Tokens   int  // that were issued
}

func TestErrors(t *testing.T) {
	t.Parallel()
	folders := func(ctx context.Context, c *metadata.Client) error { _, err := c.Folders(ctx); return err }
	extension := func(ctx context.Context, c *metadata.Client) error { _, err := c.DataExtension(ctx, "K"); return err }
	lengthen := func(ctx context.Context, c *metadata.Client) error {
		return c.LengthenField(ctx, "K", metadata.Field{Name: "Price", Length: 29})
	}
	create := func(ctx context.Context, c *metadata.Client) error {
		_, err := c.CreateDataExtension(ctx, *webReg())
		return err
	}
	folder := func(ctx context.Context, c *metadata.Client) error {
		_, err := c.CreateFolder(ctx, metadata.Folder{Name: "A", ParentID: 1})
		return err
	}
	event := func(ctx context.Context, c *metadata.Client) error { _, err := c.EventDefinition(ctx, "E"); return err }
	journeys := func(ctx context.Context, c *metadata.Client) error { _, err := c.Journeys(ctx, "E"); return err }
	message := func(ctx context.Context, c *metadata.Client) error {
		_, err := c.MessageDefinition(ctx, "M")
		return err
	}
	whose := func(ctx context.Context, c *metadata.Client) error { _, err := c.Context(ctx); return err }

	const denied = `403 {"message":"Insufficient privileges to complete this action."}`
	for name, row := range map[string]struct {
		try     func(context.Context, *metadata.Client) error
		answers map[string]string
		want    told
	}{
		"token expired, once": {folders, map[string]string{"Retrieve DataFolder #1": expired, "Retrieve DataFolder": retrieved("OK")}, told{Tokens: 2}},
		"token refused": {folders, map[string]string{"Retrieve DataFolder": expired}, told{
			Text: "retrieve folders: 500 Internal Server Error: code q0:Security: Token Expired", Op: metadata.OpFolders, Status: 500, CodeText: "q0:Security", Tokens: 2,
		}},
		"another fault": {folders, map[string]string{"Retrieve DataFolder": strings.Replace(expired, "q0:Security", "soap:Server", 1)}, told{
			Text: "retrieve folders: 500 Internal Server Error: code soap:Server: Token Expired", Op: metadata.OpFolders, Status: 500, CodeText: "soap:Server", Tokens: 1,
		}},
		"SOAP permission": {folders, map[string]string{"Retrieve DataFolder": retrieved("Error: API Permission Failed.")}, told{
			Text: "retrieve folders: 200 OK: API Permission Failed.; the installed package seems to lack the scope data_extensions_read",
			Op:   metadata.OpFolders, Status: 200, Scope: "data_extensions_read", Tokens: 1,
		}},
		"SOAP permission to write": {folder, map[string]string{"Create DataFolder": changed("Create", "Error", `<StatusCode>Error</StatusCode><StatusMessage>API Permission Failed.</StatusMessage><ErrorCode>2</ErrorCode>`)}, told{
			Text: "create folder: 200 OK: code 2: API Permission Failed.; the installed package seems to lack the scope data_extensions_write",
			Op:   metadata.OpCreateFolder, Status: 200, Code: 2, CodeText: "2", Scope: "data_extensions_write", Tokens: 1,
		}},
		"no handler": {folders, map[string]string{"Retrieve DataFolder": retrieved("Error: Unable to find a handler for object type: X.")}, told{
			Text: "retrieve folders: 200 OK: Unable to find a handler for object type: X.", Op: metadata.OpFolders, Status: 200, Tokens: 1,
		}},
		"columns fail": {extension, map[string]string{"Retrieve DataExtension": retrieved("OK", oneExtension), "Retrieve DataExtensionField": retrieved("Error: busy")}, told{
			Text: "retrieve columns: 200 OK: busy", Op: metadata.OpFields, Status: 200, Tokens: 1,
		}},
		"no data extension": {extension, map[string]string{"Retrieve DataExtension": retrieved("OK"), "Retrieve DataExtensionField": retrieved("OK")}, told{
			Text: `retrieve data extension: data extension "K": not found`, NotFound: true, Tokens: 1,
		}},
		"change refused": {lengthen, map[string]string{
			"Retrieve DataExtensionField": retrieved("OK", priceColumn),
			"Update DataExtension":        changed("Update", "Has Errors", `<StatusCode>Error</StatusCode><StatusMessage>too long</StatusMessage><ErrorCode>310007</ErrorCode>`),
		}, told{Text: "lengthen column: 200 OK: code 310007: too long", Op: metadata.OpLengthenField, Status: 200, Code: 310007, CodeText: "310007", Tokens: 1}},
		"error without result": {folder, map[string]string{"Create DataFolder": soap(`<CreateResponse><OverallStatus>Error</OverallStatus></CreateResponse>`)}, told{
			Text: "create folder: 200 OK: Error", Op: metadata.OpCreateFolder, Status: 200, Tokens: 1,
		}},
		"no result": {folder, map[string]string{"Create DataFolder": soap(`<CreateResponse><OverallStatus>OK</OverallStatus></CreateResponse>`)}, told{
			Text: "create folder: 200 OK: not an answer of Marketing Cloud: 0 results instead of 1", Op: metadata.OpCreateFolder, Status: 200, Answer: true, Tokens: 1,
		}},
		"result without id": {folder, map[string]string{"Create DataFolder": changed("Create", "OK", `<StatusCode>OK</StatusCode>`)}, told{
			Text: "create folder: 200 OK: not an answer of Marketing Cloud: no id", Op: metadata.OpCreateFolder, Status: 200, Answer: true, Tokens: 1,
		}},
		"other XML": {folders, map[string]string{"Retrieve DataFolder": soap(`<Other/>`)}, told{
			Text: "retrieve folders: 200 OK: not an answer of Marketing Cloud: XML of another kind", Op: metadata.OpFolders, Status: 200, Answer: true, Tokens: 1,
		}},
		"HTML": {folders, map[string]string{"Retrieve DataFolder": `<html><body>portal</body></html>`}, told{
			Text: "retrieve folders: 200 OK: not an answer of Marketing Cloud: not a SOAP envelope", Op: metadata.OpFolders, Status: 200, Answer: true, Tokens: 1,
		}},
		"endless": {folders, map[string]string{"Retrieve DataFolder": strings.Replace(retrieved("MoreDataAvailable"), "request-1", "", 1)}, told{
			Text: "retrieve folders: 200 OK: not an answer of Marketing Cloud: more results, but no request id", Op: metadata.OpFolders, Status: 200, Answer: true, Tokens: 1,
		}},
		"throttled": {folders, map[string]string{"Retrieve DataFolder": `429 {"message":"Rate limit exceeded","errorcode":50100}`}, told{
			Text: "retrieve folders: 429 Too Many Requests: code 50100: Rate limit exceeded", Op: metadata.OpFolders, Status: 429, Code: 50100, CodeText: "50100", Tokens: 1,
		}},
		"REST permission": {create, map[string]string{"POST /data/v1/customobjects": denied}, told{
			Text: "create data extension: 403 Forbidden: Insufficient privileges to complete this action.; the installed package seems to lack the scope data_extensions_write",
			Op:   metadata.OpCreateDataExtension, Status: 403, Scope: "data_extensions_write", Tokens: 1,
		}},
		"name taken": {create, map[string]string{"POST /data/v1/customobjects": `409 {"message":"exists","errorcode":30004}`}, told{
			Text: "create data extension: 409 Conflict: code 30004: exists", Op: metadata.OpCreateDataExtension, Status: 409, Code: 30004, CodeText: "30004", Tokens: 1,
		}},
		"nothing created": {create, map[string]string{"POST /data/v1/customobjects": `{}`}, told{
			Text: "create data extension: 200 OK: not an answer of Marketing Cloud: no id", Op: metadata.OpCreateDataExtension, Status: 200, Answer: true, Tokens: 1,
		}},
		"journeys scope": {event, map[string]string{"GET /interaction/v1/eventDefinitions/key:E": `401 {"message":"Not Authorized","errorcode":0}`}, told{
			Text: "get event definition: 401 Unauthorized: code 0: Not Authorized; the installed package seems to lack the scope journeys_read",
			Op:   metadata.OpEventDefinition, Status: 401, CodeText: "0", Scope: "journeys_read", Tokens: 2,
		}},
		"no event definition": {event, nil, told{
			Text: "not found: get event definition: 404 Not Found: code 30003: nothing here", Op: metadata.OpEventDefinition, Status: 404, Code: 30003, CodeText: "30003", NotFound: true, Tokens: 1,
		}},
		"a proxy's 404": {event, map[string]string{"GET /interaction/v1/eventDefinitions/key:E": `404 <html>`}, told{
			Text: "get event definition: 404 Not Found", Op: metadata.OpEventDefinition, Status: 404, Tokens: 1,
		}},
		"other JSON": {journeys, map[string]string{"GET /interaction/v1/interactions?$page=1&$pageSize=50": `[1]`}, told{
			Text: "list journeys: 200 OK: not an answer of Marketing Cloud: JSON of another kind", Op: metadata.OpJourneys, Status: 200, Answer: true, Tokens: 1,
		}},
		"email scope": {message, map[string]string{"GET /messaging/v1/email/definitions/M": denied}, told{
			Text: "get message definition: 403 Forbidden: Insufficient privileges to complete this action.; the installed package seems to lack the scope email_read",
			Op:   metadata.OpMessageDefinition, Status: 403, Scope: "email_read", Tokens: 1,
		}},
		"nobody's token": {whose, map[string]string{"GET /platform/v1/tokenContext": `{"user":{"id":1}}`}, told{
			Text: "get token context: 200 OK: not an answer of Marketing Cloud: no organization", Op: metadata.OpContext, Status: 200, Answer: true, Tokens: 1,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &account{answers: row.answers}
			err := row.try(within(t), a.client(t))
			got := told{NotFound: errors.Is(err, metadata.ErrNotFound), Answer: errors.Is(err, sfmc.ErrAnswer), Tokens: a.issued}
			if err != nil {
				got.Text = err.Error()
			}
			if e, ok := errors.AsType[*sfmc.Error](err); ok {
				got.Op, got.Status, got.Code, got.CodeText = e.Op, e.Status, e.Code, e.CodeText
			}
			if e, ok := errors.AsType[*metadata.ScopeError](err); ok {
				got.Scope = e.Scope
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An answer that repeats what it got shows no token.
func TestTokenStaysSecret(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"fault":  strings.Replace(expired, "Token Expired", "token-2 expired", 1),
		"status": retrieved("Error: token-1"),
		"page":   "500 <html>token-1</html>",
		"text":   "400 no token-1",
	} {
		a := &account{answers: map[string]string{"Retrieve DataFolder": answer}}
		_, err := a.client(t).Folders(within(t))
		e, ok := errors.AsType[*sfmc.Error](err)
		if !ok || strings.Contains(fmt.Sprintf("%v %+v %s", err, e, e.Body), "token-") {
			t.Errorf("%s: %v %s", name, err, e.Body)
		}
	}
}
