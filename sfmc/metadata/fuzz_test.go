package metadata_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"onramp/sfmc"
	"onramp/sfmc/metadata"
)

// Whatever Marketing Cloud answers, there is a result or an error that says whose it is.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		retrieved("OK", oneExtension), retrieved("OK", keyColumn, priceColumn), retrieved("MoreDataAvailable", oneExtension), retrieved("Error: API Permission Failed."),
		changed("Create", "OK", `<StatusCode>OK</StatusCode><NewID>7</NewID>`), changed("Update", "Has Errors", `<StatusCode>Error</StatusCode><ErrorCode>310007</ErrorCode>`),
		strings.TrimPrefix(expired, "500 "), "<html>", "{}", "", `<!DOCTYPE a [<!ENTITY b "c">]><Envelope><Body>&b;</Body></Envelope>`, soap(`<RetrieveResponseMsg><Results><MaxLength>9999999999999999999</MaxLength></Results>`),
	} {
		f.Add(seed)
	}
	a := &account{answers: map[string]string{"Retrieve Request": retrieved("OK")}} // or lists would have no end
	a.issued = 1
	c := metadata.New(sfmc.NewClient(oneToken{}, sfmc.WithOrigin("http://account.example"), sfmc.WithHTTPClient(&http.Client{Transport: a})))
	f.Fuzz(func(t *testing.T, answer string) {
		a.mu.Lock()
		for _, name := range []string{"Retrieve DataExtension", "Retrieve DataExtensionField", "Create DataFolder", "Update DataExtension"} {
			a.answers[name] = "200 " + answer
		}
		a.calls = nil
		a.mu.Unlock()
		extension, readErr := c.DataExtensionByID(t.Context(), "guid-1") // one call after the other: fuzzing wants the same to happen again
		_, folderErr := c.CreateFolder(t.Context(), metadata.Folder{Name: "A", ParentID: 1})
		for _, err := range []error{readErr, folderErr, c.LengthenField(t.Context(), "K", metadata.Field{Name: "Price", Length: 29})} {
			_, answered := errors.AsType[*sfmc.Error](err)
			if err != nil && !answered && !errors.Is(err, metadata.ErrNotFound) && !errors.Is(err, sfmc.ErrInvalid) {
				t.Errorf("error is %v", err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("several lines: %q", err)
			}
		}
		if (extension == nil) == (readErr == nil) {
			t.Errorf("both or none: %v, %v", extension, readErr)
		}
	})
}

// oneToken always gives token-1.
type oneToken struct{}

func (oneToken) Token(context.Context) (*sfmc.Token, error) {
	return &sfmc.Token{AccessToken: "token-1"}, nil
}
