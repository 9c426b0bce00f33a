package metadata_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/sfmc"
	"onramp/sfmc/metadata"
)

func TestCreateDataExtension(t *testing.T) {
	t.Parallel()
	a := &account{answers: map[string]string{"POST /data/v1/customobjects": `201 {"id":"guid-1","key":"Web & Reg","name":"Web"}`}}
	id, err := a.client(t).CreateDataExtension(within(t), *webReg())
	if id != "guid-1" || err != nil {
		t.Error(id, err)
	}
	const want = `{"name":"Web","key":"Web & Reg","description":"d","categoryId":12,"isSendable":true,"isTestable":false,
		"sendableCustomObjectField":"SubscriberKey","sendableSubscriberField":"_SubscriberKey",
		"dataRetentionProperties":{"isRowBasedRetention":true,"dataRetentionPeriodLength":6,"dataRetentionPeriodUnitOfMeasure":5,"isDeleteAtEndOfRetentionPeriod":false,"isResetRetentionPeriodOnImport":true},
		"fields":[
		{"name":"SubscriberKey","type":"Text","length":254,"ordinal":0,"isPrimaryKey":true,"isNullable":false,"maskType":"None","storageType":"Plain","isTemplateField":false,"isInheritable":true,"isOverridable":true,"isHidden":false,"isReadOnly":false,"mustOverride":false},
		{"name":"Price","type":"Decimal","length":18,"scale":2,"ordinal":1,"isPrimaryKey":false,"isNullable":true,"defaultValue":"0","maskType":"None","storageType":"Plain","isTemplateField":false,"isInheritable":true,"isOverridable":true,"isHidden":false,"isReadOnly":false,"mustOverride":false}]}`
	if diff := cmp.Diff(values(t, want), values(t, a.seen()[0].Body)); diff != "" {
		t.Error(diff)
	}
}

// What is not sendable and kept until a day says so.
func TestCreatePlainDataExtension(t *testing.T) {
	t.Parallel()
	a := &account{answers: map[string]string{"POST /data/v1/customobjects": `201 {"id":"g"}`}}
	_, err := a.client(t).CreateDataExtension(within(t), metadata.DataExtension{
		Name: "N", Key: "K", CategoryID: 1, Fields: []metadata.Field{{Name: "A", Type: metadata.Boolean, Length: 7, Ordinal: 9}},
		Retention: metadata.Retention{DeleteAtEnd: true, Until: time.Date(2027, 6, 23, 0, 0, 0, 0, time.UTC)},
	})
	if err != nil {
		t.Error(err)
	}
	const want = `{"name":"N","key":"K","description":"","categoryId":1,"isSendable":false,"isTestable":false,
		"dataRetentionProperties":{"isRowBasedRetention":false,"isDeleteAtEndOfRetentionPeriod":true,"isResetRetentionPeriodOnImport":false,"retainUntil":"2027-06-23"},
		"fields":[{"name":"A","type":"Boolean","ordinal":0,"isPrimaryKey":false,"isNullable":true,"maskType":"None","storageType":"Plain","isTemplateField":false,"isInheritable":true,"isOverridable":true,"isHidden":false,"isReadOnly":false,"mustOverride":false}]}`
	if diff := cmp.Diff(values(t, want), values(t, a.seen()[0].Body)); diff != "" {
		t.Error(diff)
	}
}

// values decodes JSON, since the order of members means nothing.
func values(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const updated = `<StatusCode>OK</StatusCode><StatusMessage>Data Extension updated.</StatusMessage><OrdinalID>0</OrdinalID>`

func TestAddFields(t *testing.T) {
	t.Parallel()
	a := &account{answers: map[string]string{"Update DataExtension": changed("Update", "OK", updated)}}
	err := a.client(t).AddFields(within(t), "K&1", []metadata.Field{
		{Name: `A "<b>"`, Type: metadata.Text, Length: 60, Default: "x&y"},
		{Name: "B", Type: metadata.Boolean, Length: 3, Required: true, Default: "false"},
		{Name: "C", Type: metadata.Decimal, Length: 10, Scale: 0},
	})
	if err != nil {
		t.Error(err)
	}
	const want = `<UpdateRequest xmlns="http://exacttarget.com/wsdl/partnerAPI"><Objects xsi:type="DataExtension"><CustomerKey>K&amp;1</CustomerKey><Fields>` +
		`<Field><Name>A &#34;&lt;b&gt;&#34;</Name><FieldType>Text</FieldType><MaxLength>60</MaxLength><IsPrimaryKey>false</IsPrimaryKey><IsRequired>false</IsRequired><DefaultValue>x&amp;y</DefaultValue></Field>` +
		`<Field><Name>B</Name><FieldType>Boolean</FieldType><IsPrimaryKey>false</IsPrimaryKey><IsRequired>true</IsRequired><DefaultValue>false</DefaultValue></Field>` +
		`<Field><Name>C</Name><FieldType>Decimal</FieldType><MaxLength>10</MaxLength><Scale>0</Scale><IsPrimaryKey>false</IsPrimaryKey><IsRequired>false</IsRequired></Field>` +
		`</Fields></Objects></UpdateRequest>`
	if diff := cmp.Diff([]call{{"POST", "/Service.asmx", want}}, a.seen()); diff != "" {
		t.Error(diff)
	}
}

func TestLengthenField(t *testing.T) {
	t.Parallel()
	const began = `<UpdateRequest xmlns="http://exacttarget.com/wsdl/partnerAPI"><Objects xsi:type="DataExtension"><CustomerKey>Web &amp; Reg</CustomerKey><Fields><Field>`
	const ended = `</Field></Fields></Objects></UpdateRequest>`
	const flag = `<ObjectID>f-3</ObjectID><Name>Flag</Name><FieldType>Boolean</FieldType><MaxLength /><IsPrimaryKey>false</IsPrimaryKey><IsRequired>false</IsRequired><Ordinal>2</Ordinal>`
	for name, row := range map[string]struct {
		to     metadata.Field
		sent   string // "": nothing
		failed error
	}{
		"longer, in other letters": {to: metadata.Field{Name: "subscriberkey", Length: 300}, sent: `<ObjectID>f-1</ObjectID><Name>SubscriberKey</Name><MaxLength>300</MaxLength><IsPrimaryKey>true</IsPrimaryKey><IsRequired>true</IsRequired>`},
		"more digits":              {to: metadata.Field{Name: "Price", Length: 20}, sent: `<ObjectID>f-2</ObjectID><Name>Price</Name><MaxLength>20</MaxLength><Scale>2</Scale><IsPrimaryKey>false</IsPrimaryKey><IsRequired>false</IsRequired><DefaultValue>0</DefaultValue>`},
		"as long":                  {to: metadata.Field{Name: "SubscriberKey", Length: 254}},
		"shorter":                  {to: metadata.Field{Name: "SubscriberKey", Length: 50}},
		"no such column":           {to: metadata.Field{Name: "Other", Length: 50}, failed: metadata.ErrNotFound},
		"has no length":            {to: metadata.Field{Name: "Flag", Length: 50}, failed: sfmc.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &account{answers: map[string]string{
				"Retrieve DataExtensionField": retrieved("OK", keyColumn, priceColumn, flag),
				"Update DataExtension":        changed("Update", "OK", updated),
			}}
			err := a.client(t).LengthenField(within(t), "Web & Reg", row.to)
			want := []call{{"POST", "/Service.asmx", askColumns}}
			if row.sent != "" {
				want = append(want, call{"POST", "/Service.asmx", began + row.sent + ended})
			}
			if diff := cmp.Diff(want, a.seen()); diff != "" || !errors.Is(err, row.failed) {
				t.Error(err, diff)
			}
		})
	}
}
