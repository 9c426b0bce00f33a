package metadata_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"onramp/sfmc"
	"onramp/sfmc/metadata"
)

// connect makes a client for a stand-in. For Marketing Cloud itself it is
// sfmc.New("mc0123456789abcdefghijklmnop", sfmc.Credentials{…}).
func connect(url string) *sfmc.Client {
	tokens, err := sfmc.NewTokenRequester(url, sfmc.Credentials{ClientID: "cid-1", ClientSecret: "s3cr3t"})
	if err != nil {
		panic(err)
	}
	return sfmc.NewClient(sfmc.NewTokenCache(tokens), sfmc.WithOrigin(url))
}

func ExampleClient_DataExtension() {
	server := httptest.NewServer(&account{answers: map[string]string{
		"Retrieve DataExtension":      retrieved("OK", `<ObjectID>guid-1</ObjectID><CustomerKey>Web_Registrations</CustomerKey><Name>Web registrations</Name><IsSendable>true</IsSendable>`),
		"Retrieve DataExtensionField": retrieved("OK", keyColumn),
	}})
	defer server.Close()
	account := metadata.New(connect(server.URL))

	extension, err := account.DataExtension(context.Background(), "Web_Registrations")
	switch scope, lacking := errors.AsType[*metadata.ScopeError](err); {
	case errors.Is(err, metadata.ErrNotFound):
		fmt.Println("there is no such data extension")
	case lacking:
		fmt.Println("give the installed package the scope", scope.Scope)
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println(extension.Name, extension.Sendable)
		for _, f := range extension.Fields {
			fmt.Println(f.Name, f.Type, f.Length, f.PrimaryKey, f.Required)
		}
	}
	// Output:
	// Web registrations true
	// SubscriberKey Text 254 true true
}

func ExampleClient_AddFields() {
	server := httptest.NewServer(&account{answers: map[string]string{
		"Update DataExtension":        changed("Update", "OK", `<StatusCode>OK</StatusCode>`),
		"Retrieve DataExtension":      retrieved("OK", `<CustomerKey>Web_Registrations</CustomerKey>`),
		"Retrieve DataExtensionField": retrieved("OK", keyColumn, `<Name>Country</Name><FieldType>Text</FieldType><MaxLength>2</MaxLength><Ordinal>1</Ordinal>`),
	}})
	defer server.Close()
	account := metadata.New(connect(server.URL))

	country := metadata.Field{Name: "Country", Type: metadata.Text, Length: 2}
	if err := account.AddFields(context.Background(), "Web_Registrations", []metadata.Field{country}); err != nil {
		fmt.Println(err)
		return
	}
	// Marketing Cloud says OK to changes that it ignores, too
	extension, err := account.DataExtension(context.Background(), "Web_Registrations")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(extension.Fields[len(extension.Fields)-1].Name)
	// Output: Country
}

func ExampleClient_Journeys() {
	server := httptest.NewServer(&account{answers: map[string]string{
		"GET /interaction/v1/interactions?$page=1&$pageSize=50": `{"count":1,"items":[{"id":"j","key":"k","name":"Welcome","version":1,"status":"Draft","triggers":[{"metaData":{"eventDefinitionKey":"APIEvent-1"}}]}]}`,
	}})
	defer server.Close()
	account := metadata.New(connect(server.URL))

	journeys, err := account.Journeys(context.Background(), "APIEvent-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, j := range journeys {
		fmt.Printf("%s, version %d: %s\n", j.Name, j.Version, j.Status)
	}
	// Output: Welcome, version 1: Draft
}
