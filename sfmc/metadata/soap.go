package metadata

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"onramp/sfmc"
)

const (
	namespace = "http://exacttarget.com/wsdl/partnerAPI"
	// batchSize is how many results come at once: the most that Retrieve gives. Without
	// it, lists of large accounts time out.
	batchSize = 2500
	// maxBatches is where a list that has no end is given up.
	maxBatches = 400
)

// retrieveRequest is the SOAP message by the name RetrieveRequestMsg.
type retrieveRequest struct {
	XMLName xml.Name `xml:"http://exacttarget.com/wsdl/partnerAPI RetrieveRequestMsg"`
	Request query    `xml:"RetrieveRequest"`
}

// query is what to retrieve.
type query struct {
	ObjectType string `xml:",omitempty"`
	Properties []string
	Filter     *filter `xml:",omitempty"`
	Continue   string  `xml:"ContinueRequest,omitempty"`
	BatchSize  int     `xml:"Options>BatchSize"`
}

// filter compares one property.
type filter struct {
	Type     string `xml:"xsi:type,attr"`
	Property string
	Operator string `xml:"SimpleOperator"`
	Value    string
}

func equals(property, value string) *filter {
	return &filter{"SimpleFilterPart", property, "equals", value}
}

// result is one object in an answer to Retrieve, with all that is read of any type. Numbers and
// times are texts here, since an empty element is one that was not set.
type result struct {
	ObjectID, CustomerKey, Name, Description string

	// of a data extension
	CategoryID                       integer
	IsSendable                       string
	SendableDataExtensionField       named
	SendableSubscriberField          named
	RowBasedRetention                string
	DataRetentionPeriodLength        integer
	DataRetentionPeriodUnitOfMeasure string
	DeleteAtEndOfRetentionPeriod     string
	ResetRetentionPeriodOnImport     string
	RetainUntil                      string

	// of a column
	FieldType, DefaultValue   string
	MaxLength, Scale, Ordinal integer
	IsPrimaryKey, IsRequired  string

	// of a folder
	ID           integer
	ParentFolder struct{ ID integer }
}

// named is an object of which only the name is used.
type named struct{ Name string }

// retrieve asks for all objects that a query finds.
func (c *Client) retrieve(ctx context.Context, op string, q query) ([]result, error) {
	q.BatchSize = batchSize
	var all []result
	for range maxBatches {
		var a struct {
			XMLName       xml.Name `xml:"RetrieveResponseMsg"`
			OverallStatus string
			RequestID     string
			Results       []result
		}
		if err := c.soap(ctx, op, "Retrieve", retrieveRequest{Request: q}, &a); err != nil {
			return nil, explain(err)
		}
		switch all = append(all, a.Results...); {
		case a.OverallStatus == "OK":
			return all, nil
		case a.OverallStatus != "MoreDataAvailable":
			return nil, explain(refusal(op, outcome{StatusMessage: strings.TrimPrefix(a.OverallStatus, "Error: ")}))
		case a.RequestID == "":
			return nil, unfit(op, "more results, but no request id")
		}
		q = query{Continue: a.RequestID, BatchSize: batchSize}
	}
	return nil, unfit(op, fmt.Sprintf("more than %d results", maxBatches*batchSize))
}

// changeRequest is the SOAP message of Create and Update, of which it has the name.
type changeRequest struct {
	XMLName xml.Name
	Objects any
}

// outcome is what became of an object that was to be created or updated.
type outcome struct {
	StatusCode    string
	StatusMessage string
	ErrorCode     string
	NewID         integer
}

// change creates or updates one object; action is "Create" or "Update".
func (c *Client) change(ctx context.Context, op, action string, object any) (outcome, error) {
	var a struct {
		OverallStatus string
		Results       []outcome
	}
	message := changeRequest{XMLName: xml.Name{Space: namespace, Local: action + "Request"}, Objects: object}
	if err := c.soap(ctx, op, action, message, &a); err != nil {
		return outcome{}, explain(err)
	}
	for _, one := range a.Results {
		if one.StatusCode != "OK" {
			return outcome{}, explain(refusal(op, one))
		}
	}
	switch {
	case a.OverallStatus != "OK" && a.OverallStatus != "":
		return outcome{}, explain(refusal(op, outcome{StatusMessage: strings.TrimPrefix(a.OverallStatus, "Error: ")}))
	case len(a.Results) != 1:
		return outcome{}, unfit(op, fmt.Sprintf("%d results instead of 1", len(a.Results)))
	}
	return a.Results[0], nil
}

// soap makes a call of the SOAP API and decodes what it answers.
func (c *Client) soap(ctx context.Context, op, action string, message, into any) error {
	body, err := xml.Marshal(message)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", op, sfmc.ErrInvalid, err)
	}
	answer, err := c.calls.Do(ctx, sfmc.Request{Op: op, Method: http.MethodPost, Path: "/Service.asmx", SOAPAction: action, Body: body})
	if err != nil {
		return err
	}
	if xml.NewDecoder(bytes.NewReader(answer)).Decode(into) != nil {
		return unfit(op, "XML of another kind")
	}
	return nil
}

// refusal is the error for what Marketing Cloud refused with status 200.
func refusal(op string, o outcome) *sfmc.Error {
	e := &sfmc.Error{Op: op, Status: http.StatusOK, CodeText: clip(o.ErrorCode), Message: clip(o.StatusMessage)}
	e.Code, _ = strconv.Atoi(e.CodeText)
	return e
}

// clip makes a text fit for one line of a log.
func clip(s string) string {
	const most = 4 << 10
	return strings.Join(strings.Fields(strings.ToValidUTF8(s[:min(len(s), most)], "")), " ")
}
