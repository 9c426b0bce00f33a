package metadata_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
	"onramp/sfmc/metadata"
)

const (
	oneExtension = `<ObjectID>guid-1</ObjectID><CustomerKey>Web &amp; Reg</CustomerKey><Name>Web</Name><Description>d</Description><CategoryID>12</CategoryID><IsSendable>true</IsSendable>` +
		`<SendableDataExtensionField><Name>SubscriberKey</Name></SendableDataExtensionField><SendableSubscriberField><Name>_SubscriberKey</Name></SendableSubscriberField>` +
		`<RowBasedRetention>true</RowBasedRetention><DataRetentionPeriodLength>6</DataRetentionPeriodLength><DataRetentionPeriodUnitOfMeasure>5</DataRetentionPeriodUnitOfMeasure>` +
		`<DeleteAtEndOfRetentionPeriod>false</DeleteAtEndOfRetentionPeriod><ResetRetentionPeriodOnImport>true</ResetRetentionPeriodOnImport><RetainUntil>6/23/2027 12:00:00 AM</RetainUntil>`
	keyColumn   = `<ObjectID>f-1</ObjectID><Name>SubscriberKey</Name><FieldType>Text</FieldType><MaxLength>254</MaxLength><IsPrimaryKey>true</IsPrimaryKey><IsRequired>true</IsRequired><DefaultValue /><Ordinal>0</Ordinal>`
	priceColumn = `<ObjectID>f-2</ObjectID><Name>Price</Name><FieldType>Decimal</FieldType><MaxLength>18</MaxLength><Scale>2</Scale><IsPrimaryKey>false</IsPrimaryKey><IsRequired>false</IsRequired><DefaultValue>0</DefaultValue><Ordinal>1</Ordinal>`

	askExtension = `<RetrieveRequestMsg xmlns="http://exacttarget.com/wsdl/partnerAPI"><RetrieveRequest><ObjectType>DataExtension</ObjectType><Properties>ObjectID</Properties><Properties>CustomerKey</Properties><Properties>Name</Properties><Properties>Description</Properties><Properties>CategoryID</Properties><Properties>IsSendable</Properties><Properties>SendableDataExtensionField.Name</Properties><Properties>SendableSubscriberField.Name</Properties><Properties>RowBasedRetention</Properties><Properties>DataRetentionPeriodLength</Properties><Properties>DataRetentionPeriodUnitOfMeasure</Properties><Properties>DeleteAtEndOfRetentionPeriod</Properties><Properties>ResetRetentionPeriodOnImport</Properties><Properties>RetainUntil</Properties><Filter xsi:type="SimpleFilterPart"><Property>CustomerKey</Property><SimpleOperator>equals</SimpleOperator><Value>Web &amp; Reg</Value></Filter><Options><BatchSize>2500</BatchSize></Options></RetrieveRequest></RetrieveRequestMsg>`
	askColumns   = `<RetrieveRequestMsg xmlns="http://exacttarget.com/wsdl/partnerAPI"><RetrieveRequest><ObjectType>DataExtensionField</ObjectType><Properties>ObjectID</Properties><Properties>Name</Properties><Properties>FieldType</Properties><Properties>MaxLength</Properties><Properties>Scale</Properties><Properties>IsPrimaryKey</Properties><Properties>IsRequired</Properties><Properties>DefaultValue</Properties><Properties>Ordinal</Properties><Filter xsi:type="SimpleFilterPart"><Property>DataExtension.CustomerKey</Property><SimpleOperator>equals</SimpleOperator><Value>Web &amp; Reg</Value></Filter><Options><BatchSize>2500</BatchSize></Options></RetrieveRequest></RetrieveRequestMsg>`
)

func webReg() *metadata.DataExtension {
	return &metadata.DataExtension{
		ID: "guid-1", Key: "Web & Reg", Name: "Web", Description: "d", CategoryID: 12, Sendable: true, SendableField: "SubscriberKey", SubscriberField: "_SubscriberKey",
		Retention: metadata.Retention{Rows: true, Period: 6, Unit: "Months", ResetOnImport: true, Until: time.Date(2027, 6, 23, 0, 0, 0, 0, time.UTC)},
		Fields: []metadata.Field{
			{Name: "SubscriberKey", Type: metadata.Text, Length: 254, PrimaryKey: true, Required: true},
			{Name: "Price", Type: metadata.Decimal, Length: 18, Scale: 2, Default: "0", Ordinal: 1},
		},
	}
}

func TestDataExtension(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(context.Context, *metadata.Client) (*metadata.DataExtension, error){
		"by key": func(ctx context.Context, c *metadata.Client) (*metadata.DataExtension, error) {
			return c.DataExtension(ctx, "Web & Reg")
		},
		"by id": func(ctx context.Context, c *metadata.Client) (*metadata.DataExtension, error) {
			return c.DataExtensionByID(ctx, "guid-1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &account{answers: map[string]string{
				"Retrieve DataExtension":      retrieved("OK", oneExtension),
				"Retrieve DataExtensionField": retrieved("OK", priceColumn, keyColumn),
			}}
			got, err := read(within(t), a.client(t))
			if diff := cmp.Diff(webReg(), got); diff != "" || err != nil {
				t.Error(err, diff)
			}
			asked := askExtension
			if name == "by id" {
				asked = strings.NewReplacer("<Property>CustomerKey", "<Property>ObjectID", "<Value>Web &amp; Reg", "<Value>guid-1").Replace(asked)
			}
			want, seen := []call{{"POST", "/Service.asmx", asked}, {"POST", "/Service.asmx", askColumns}}, a.seen()
			slices.SortFunc(seen, func(x, y call) int { return strings.Compare(x.Body, y.Body) }) // side by side
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A data extension with nothing set comes with empty elements.
func TestPlainDataExtension(t *testing.T) {
	t.Parallel()
	a := &account{answers: map[string]string{
		"Retrieve DataExtension":      retrieved("OK", `<ObjectID>g</ObjectID><CustomerKey>K</CustomerKey><Name>N</Name><CategoryID>1</CategoryID><IsSendable>false</IsSendable><DataRetentionPeriodLength /><RetainUntil />`),
		"Retrieve DataExtensionField": retrieved("OK", `<Name>A</Name><FieldType>Boolean</FieldType><MaxLength /><Scale xsi:nil="true" /><IsRequired>false</IsRequired>`),
	}}
	got, err := a.client(t).DataExtension(within(t), "K")
	want := &metadata.DataExtension{ID: "g", Key: "K", Name: "N", CategoryID: 1, Fields: []metadata.Field{{Name: "A", Type: metadata.Boolean}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// Long lists come in batches.
func TestDataExtensions(t *testing.T) {
	t.Parallel()
	a := &account{answers: map[string]string{
		"Retrieve DataExtension": retrieved("MoreDataAvailable", `<ObjectID>2</ObjectID><CustomerKey>B</CustomerKey><Name>b</Name><CategoryID>7</CategoryID><IsSendable>true</IsSendable>`),
		"Retrieve Request":       retrieved("OK", `<ObjectID>1</ObjectID><CustomerKey>A</CustomerKey><Name>a</Name><CategoryID>7</CategoryID><IsSendable>false</IsSendable>`),
	}}
	got, err := a.client(t).DataExtensions(within(t))
	want := []metadata.Summary{{ID: "1", Key: "A", Name: "a", CategoryID: 7}, {ID: "2", Key: "B", Name: "b", CategoryID: 7, Sendable: true}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	const more = `<RetrieveRequestMsg xmlns="http://exacttarget.com/wsdl/partnerAPI"><RetrieveRequest><ContinueRequest>request-1</ContinueRequest><Options><BatchSize>2500</BatchSize></Options></RetrieveRequest></RetrieveRequestMsg>`
	if seen := a.seen(); len(seen) != 2 || seen[1].Body != more {
		t.Errorf("calls: %v", seen)
	}
}

func TestFolders(t *testing.T) {
	t.Parallel()
	a := &account{answers: map[string]string{
		"Retrieve DataFolder": retrieved("OK", `<ID>1</ID><Name>Data Extensions</Name><ContentType>dataextension</ContentType><ParentFolder><ID>0</ID></ParentFolder>`, `<ID>2</ID><Name>Web</Name><ParentFolder><ID>1</ID></ParentFolder>`),
		"Create DataFolder":   changed("Create", "OK", `<StatusCode>OK</StatusCode><StatusMessage>Folder created successfully.</StatusMessage><NewID>862001</NewID><NewObjectID>g</NewObjectID>`),
	}}
	c := a.client(t)
	folders, err := c.Folders(within(t))
	if diff := cmp.Diff([]metadata.Folder{{ID: 1, Name: "Data Extensions"}, {ID: 2, ParentID: 1, Name: "Web"}}, folders); diff != "" || err != nil {
		t.Error(err, diff)
	}
	id, err := c.CreateFolder(within(t), metadata.Folder{ParentID: 1, Name: "A <b>"})
	if id != 862001 || err != nil {
		t.Error(id, err)
	}
	const made = `<CreateRequest xmlns="http://exacttarget.com/wsdl/partnerAPI"><Objects xsi:type="DataFolder"><Name>A &lt;b&gt;</Name><Description>A &lt;b&gt;</Description><ContentType>dataextension</ContentType><ParentFolder><ID>1</ID></ParentFolder><IsActive>true</IsActive><IsEditable>true</IsEditable><AllowChildren>true</AllowChildren></Objects></CreateRequest>`
	if got := a.seen()[1].Body; got != made {
		t.Error(got)
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	a := &account{answers: map[string]string{"GET /platform/v1/tokenContext": `{"enterprise":{"id":510000000},"organization":{"id":"510000001"},"user":{"id":7}}`}}
	got, err := a.client(t).Context(within(t))
	if diff := cmp.Diff(metadata.Context{EnterpriseID: 510000000, AccountID: 510000001, UserID: 7}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

// Arguments that can't be right are refused, and nothing is sent.
func TestInvalid(t *testing.T) {
	t.Parallel()
	a := &account{}
	c := a.client(t)
	good := *webReg()
	with := func(change func(*metadata.DataExtension)) func(context.Context) error {
		d := good
		d.Fields = slices.Clone(d.Fields)
		change(&d)
		return func(ctx context.Context) error { _, err := c.CreateDataExtension(ctx, d); return err }
	}
	for name, try := range map[string]func(context.Context) error{
		"no key":            func(ctx context.Context) error { _, err := c.DataExtension(ctx, " "); return err },
		"no id":             func(ctx context.Context) error { _, err := c.DataExtensionByID(ctx, ""); return err },
		"no event key":      func(ctx context.Context) error { _, err := c.EventDefinition(ctx, ""); return err },
		"no journey key":    func(ctx context.Context) error { _, err := c.Journeys(ctx, ""); return err },
		"no message key":    func(ctx context.Context) error { _, err := c.MessageDefinition(ctx, ""); return err },
		"folder at the top": func(ctx context.Context) error { _, err := c.CreateFolder(ctx, metadata.Folder{Name: "a"}); return err },
		"event without name": func(ctx context.Context) error {
			_, err := c.CreateEventDefinition(ctx, metadata.EventDefinition{Key: "k", DataExtensionID: "g"})
			return err
		},
		"columns of nothing":  func(ctx context.Context) error { return c.AddFields(ctx, "", good.Fields) },
		"no new columns":      func(ctx context.Context) error { return c.AddFields(ctx, "K", nil) },
		"column without name": func(ctx context.Context) error { return c.AddFields(ctx, "K", []metadata.Field{{Type: "Text"}}) },
		"unknown type": func(ctx context.Context) error {
			return c.AddFields(ctx, "K", []metadata.Field{{Name: "A", Type: "text"}})
		},
		"negative length": func(ctx context.Context) error {
			return c.AddFields(ctx, "K", []metadata.Field{{Name: "A", Type: "Text", Length: -1}})
		},
		"longer without name":  func(ctx context.Context) error { return c.LengthenField(ctx, "K", metadata.Field{Length: 7}) },
		"no name":              with(func(d *metadata.DataExtension) { d.Name = "" }),
		"no folder":            with(func(d *metadata.DataExtension) { d.CategoryID = 0 }),
		"no columns":           with(func(d *metadata.DataExtension) { d.Fields = nil }),
		"no send relationship": with(func(d *metadata.DataExtension) { d.SubscriberField = "" }),
		"nullable primary key": with(func(d *metadata.DataExtension) { d.Fields[0].Required = false }),
		"unit of retention":    with(func(d *metadata.DataExtension) { d.Retention.Unit = "Fortnights" }),
	} {
		if err := try(within(t)); !errors.Is(err, sfmc.ErrInvalid) {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	if seen := a.seen(); seen != nil {
		t.Errorf("calls: %v", seen)
	}
}
