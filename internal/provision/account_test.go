package provision_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"onramp/sfmc"
	"onramp/sfmc/metadata"
)

// account stands in for Marketing Cloud: it keeps what is made, and can be told to ignore
// things in silence, as the real one does.
type account struct {
	mu         sync.Mutex
	extensions []*metadata.DataExtension
	folders    []metadata.Folder
	events     []map[string]any
	journeys   []map[string]any
	changes    []string // what was asked for that changes something

	ignores  func(change string) bool // nil: nothing
	refuses  func(call string) (status int, body string)
	ignoring []string // columns that REST leaves out
	spoils   func()   // what happens to the account after each call; nil: nothing
}

func newAccount() *account {
	return &account{folders: []metadata.Folder{{ID: 1, Name: "Data Extensions"}, {ID: 2, ParentID: 1, Name: "Other"}}}
}

func (a *account) find(key string) *metadata.DataExtension {
	for _, d := range a.extensions {
		if strings.EqualFold(d.Key, key) || d.ID == key {
			return d
		}
	}
	return nil
}

// change notes a change; false: it is to be ignored.
func (a *account) change(what string) bool {
	a.changes = append(a.changes, what)
	return a.ignores == nil || !a.ignores(what)
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	if a.spoils != nil {
		defer a.spoils()
	}
	if a.refuses != nil {
		if status, text := a.refuses(r.Method + " " + r.URL.Path + " " + r.Header.Get("SOAPAction")); status != 0 {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
			return
		}
	}
	switch path := r.URL.Path; {
	case path == "/v2/token":
		_, _ = io.WriteString(w, `{"access_token":"token","expires_in":1079}`)
	case path == "/Service.asmx":
		a.soap(w, r.Header.Get("SOAPAction"), body)
	case path == "/data/v1/customobjects":
		a.create(w, body)
	case path == "/interaction/v1/eventDefinitions":
		var e map[string]any
		_ = json.Unmarshal(body, &e)
		e["id"] = fmt.Sprintf("event-%d", len(a.events)+1)
		if a.change("event " + e["eventDefinitionKey"].(string)) {
			a.events = append(a.events, e)
		}
		_ = json.NewEncoder(w).Encode(e)
	case strings.HasPrefix(path, "/interaction/v1/eventDefinitions/key:"):
		for _, e := range a.events {
			if e["eventDefinitionKey"] == strings.TrimPrefix(path, "/interaction/v1/eventDefinitions/key:") {
				_ = json.NewEncoder(w).Encode(e)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"not found","errorcode":30003}`)
	case path == "/interaction/v1/interactions":
		_ = json.NewEncoder(w).Encode(map[string]any{"count": len(a.journeys), "items": a.journeys})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// create is POST /data/v1/customobjects.
func (a *account) create(w http.ResponseWriter, body []byte) {
	var in struct {
		Name, Key                                          string
		CategoryID                                         int64
		IsSendable                                         bool
		SendableCustomObjectField, SendableSubscriberField string
		Fields                                             []struct {
			Name, Type, DefaultValue string
			Length, Scale, Ordinal   int
			IsPrimaryKey, IsNullable bool
		}
	}
	_ = json.Unmarshal(body, &in)
	id := fmt.Sprintf("guid-%d", len(a.extensions)+1)
	if a.change("extension " + in.Key) {
		d := &metadata.DataExtension{
			ID: id, Key: in.Key, Name: in.Name, CategoryID: in.CategoryID,
			Sendable: in.IsSendable, SendableField: in.SendableCustomObjectField, SubscriberField: in.SendableSubscriberField,
		}
		for _, f := range in.Fields {
			if !slices.Contains(a.ignoring, f.Name) {
				d.Fields = append(d.Fields, metadata.Field{
					Name: f.Name, Type: f.Type, Length: f.Length, Scale: f.Scale, PrimaryKey: f.IsPrimaryKey, Required: !f.IsNullable, Default: f.DefaultValue, Ordinal: f.Ordinal,
				})
			}
		}
		a.extensions = append(a.extensions, d)
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id":%q,"key":%q}`, id, in.Key)
}

// request is a SOAP request of any kind.
type request struct {
	Retrieve struct {
		ObjectType, Value string
		Filter            struct{ Property, Value string }
	} `xml:"Body>RetrieveRequestMsg>RetrieveRequest"`
	Update struct {
		CustomerKey string
		Fields      []struct {
			ObjectID, Name, FieldType, DefaultValue string
			MaxLength, Scale                        int
			IsPrimaryKey, IsRequired                bool
		} `xml:"Fields>Field"`
	} `xml:"Body>UpdateRequest>Objects"`
	Create struct {
		Name     string
		ParentID int64 `xml:"ParentFolder>ID"`
	} `xml:"Body>CreateRequest>Objects"`
}

func (a *account) soap(w http.ResponseWriter, action string, body []byte) {
	var in request
	if err := xml.Unmarshal(body, &in); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var out strings.Builder
	switch action {
	case "Create":
		f := metadata.Folder{ID: int64(100 + len(a.folders)), ParentID: in.Create.ParentID, Name: in.Create.Name}
		if a.change("folder " + f.Name) {
			a.folders = append(a.folders, f)
		}
		fmt.Fprintf(&out, `<CreateResponse><Results><StatusCode>OK</StatusCode><NewID>%d</NewID></Results><OverallStatus>OK</OverallStatus></CreateResponse>`, f.ID)
	case "Update":
		a.update(in)
		out.WriteString(`<UpdateResponse><Results><StatusCode>OK</StatusCode></Results><OverallStatus>OK</OverallStatus></UpdateResponse>`)
	default:
		fmt.Fprintf(&out, `<RetrieveResponseMsg><OverallStatus>OK</OverallStatus><RequestID>r</RequestID>%s</RetrieveResponseMsg>`, a.retrieve(in.Retrieve.ObjectType, in.Retrieve.Filter.Value))
	}
	fmt.Fprintf(w, `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>%s</soap:Body></soap:Envelope>`, out.String())
}

func (a *account) update(in request) {
	d := a.find(in.Update.CustomerKey)
	for _, f := range in.Update.Fields {
		if f.ObjectID != "" {
			if a.change("longer " + f.Name) {
				at := slices.IndexFunc(d.Fields, func(is metadata.Field) bool { return is.Name == f.Name })
				d.Fields[at].Length = f.MaxLength
			}
			continue
		}
		if a.change("column " + f.Name) {
			d.Fields = append(d.Fields, metadata.Field{Name: f.Name, Type: f.FieldType, Length: f.MaxLength, Scale: f.Scale, PrimaryKey: f.IsPrimaryKey, Required: f.IsRequired, Default: f.DefaultValue, Ordinal: len(d.Fields)})
		}
	}
}

func (a *account) retrieve(objectType, value string) string {
	var out strings.Builder
	switch d := a.find(value); {
	case objectType == "DataFolder":
		for _, f := range a.folders {
			fmt.Fprintf(&out, `<Results><ID>%d</ID><Name>%s</Name><ParentFolder><ID>%d</ID></ParentFolder></Results>`, f.ID, f.Name, f.ParentID)
		}
	case d == nil:
	case objectType == "DataExtension":
		fmt.Fprintf(&out, `<Results><ObjectID>%s</ObjectID><CustomerKey>%s</CustomerKey><Name>%s</Name><CategoryID>%d</CategoryID><IsSendable>%t</IsSendable><SendableDataExtensionField><Name>%s</Name></SendableDataExtensionField><SendableSubscriberField><Name>%s</Name></SendableSubscriberField></Results>`,
			d.ID, d.Key, d.Name, d.CategoryID, d.Sendable, d.SendableField, d.SubscriberField)
	default:
		for i, f := range d.Fields {
			fmt.Fprintf(&out, `<Results><ObjectID>f-%d</ObjectID><Name>%s</Name><FieldType>%s</FieldType><MaxLength>%d</MaxLength><Scale>%d</Scale><IsPrimaryKey>%t</IsPrimaryKey><IsRequired>%t</IsRequired><DefaultValue>%s</DefaultValue><Ordinal>%d</Ordinal></Results>`,
				i, f.Name, f.Type, f.Length, f.Scale, f.PrimaryKey, f.Required, f.Default, i)
		}
	}
	return out.String()
}

// client starts the account and makes a client for it.
func (a *account) client(t testing.TB) *metadata.Client {
	t.Helper()
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	tokens, err := sfmc.NewTokenRequester(s.URL, sfmc.Credentials{ClientID: "id", ClientSecret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return metadata.New(sfmc.NewClient(sfmc.NewTokenCache(tokens), sfmc.WithOrigin(s.URL)))
}
