package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/sandbox"
)

const readPath = "/data/v1/customobjectdata/key/Web_Registrations/rowset"

// filled is a sandbox with five rows, u-1 to u-5.
func filled(t testing.TB) (*sandbox.Sandbox, string) {
	t.Helper()
	s := newSandbox(t)
	auth := authorize(t, s)
	var list []string
	for i := range 5 {
		list = append(list, person(fmt.Sprintf("u-%d", i+1),
			fmt.Sprintf(`,"FirstName":"It's %c","OptInStatus":%t,"RegistrationTimestamp":"2026-06-2%dT10:00:00Z"`, 'E'-i, i%2 == 0, i)))
	}
	body := strings.ReplaceAll("["+strings.Join(list, ",")+"]", `"RegistrationTimestamp":"2026-06-23T14:52:45Z",`, "")
	if w := send(t, s, "POST", rowset, body, auth); w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	return s, auth
}

// readToken takes the request token out of an answer.
func readToken(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var got struct{ RequestToken string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.RequestToken == "" {
		t.Fatalf("no request token: %d %s", w.Code, w.Body)
	}
	return got.RequestToken
}

func TestReadRows(t *testing.T) {
	t.Parallel()
	s, auth := filled(t)
	// page is the whole answer to a read; items are numbers of rows.
	page := func(token string, page, pageSize, count int, items ...int) string {
		self := fmt.Sprintf("/v1/customobjectdata/token/%s/rowset?$page=", token)
		links := map[string]string{"self": self + fmt.Sprint(page)}
		if page*pageSize < count {
			links["next"] = self + fmt.Sprint(page+1)
		}
		body := map[string]any{
			"links": links, "requestToken": token, "tokenExpireDateUtc": "2026-06-23T15:22:45",
			"customObjectId": registrationsID, "customObjectKey": "Web_Registrations",
			"pageSize": pageSize, "page": page, "count": count, "top": 0,
		}
		var list []any
		for _, n := range items {
			key := fmt.Sprintf("u-%d", n)
			list = append(list, map[string]any{
				"keys": map[string]string{"subscriberkey": key},
				"values": map[string]string{
					"emailaddress": key + "@example.org", "firstname": fmt.Sprintf("It's %c", 'E'-n+1), "lastname": "",
					"optinstatus":           map[bool]string{true: "True", false: "False"}[n%2 == 1],
					"registrationtimestamp": fmt.Sprintf("6/2%d/2026 4:00:00 AM", n-1), // server time
					"source":                "", "ipaddress": "", "useragent": "", "pageurl": "",
				},
			})
		}
		if list != nil {
			body["items"] = list
		}
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}

	first := send(t, s, "GET", readPath+"?$page=1&$pageSize=2", "", auth)
	token := readToken(t, first)
	same(t, first, 200, page(token, 1, 2, 5, 1, 2))
	more := "/data/v1/customobjectdata/token/" + token + "/rowset"
	same(t, send(t, s, "GET", more+"?$page=2", "", auth), 200, page(token, 2, 2, 5, 3, 4))
	same(t, send(t, s, "GET", more+"?%24page=3", "", auth), 200, page(token, 3, 2, 5, 5))
	same(t, send(t, s, "GET", more+"?$page=4", "", auth), 200, page(token, 4, 2, 5))
	same(t, send(t, s, "GET", more+"?$page=4611686018427387900", "", auth), 200, page(token, 4611686018427387900, 2, 5))
	same(t, send(t, s, "GET", "/data/v1/customobjectdata/token/x/rowset", "", auth), 404, noObject)
	same(t, send(t, s, "GET", "/data/v1/customobjectdata/key/Nothing/rowset", "", auth), 404,
		`{"message":"custom object data cannot be retrieved for key: Nothing","errorcode":30003,"documentation":""}`)

	for _, row := range []struct {
		query string
		size  int
		items []int
	}{
		{"", 2500, []int{1, 2, 3, 4, 5}},
		{"?$pagesize=100000", 2500, []int{1, 2, 3, 4, 5}},
		{"?pageSize=7&page=1", 7, []int{1, 2, 3, 4, 5}},
		{"?unknown=%zz", 2500, []int{1, 2, 3, 4, 5}},
		{"?$filter=subscriberkey%20eq%20'u-2'", 2500, []int{2}},
		{"?%24filter=SubscriberKey%20eq%20%27u-2%27", 2500, []int{2}},
		{"?$filter=subscriberkey%20eq%20'nobody'", 2500, nil},
		{"?$filter=subscriberkey%20ne%20'u-2'", 2500, []int{1, 3, 4, 5}},
		{"?$filter=subscriberkey%20gt%20'u-3'", 2500, []int{4, 5}},
		{"?$filter=subscriberkey%20ge%20'u-3'", 2500, []int{3, 4, 5}},
		{"?$filter=subscriberkey%20lt%20'u-3'", 2500, []int{1, 2}},
		{"?$filter=subscriberkey%20le%20'u-3'", 2500, []int{1, 2, 3}},
		{"?$filter=emailaddress%20like%20'%25-4@%25'", 2500, []int{4}},
		{"?$filter=emailaddress%20like%20'u__@example.org'", 2500, []int{1, 2, 3, 4, 5}},
		{"?$filter=emailaddress%20like%20'u-4'", 2500, nil},
		{"?$filter=firstname%20eq%20'It''s%20E'", 2500, []int{1}},
		{"?$filter=optinstatus%20eq%20true", 2500, []int{1, 3, 5}},
		{"?$filter=optinstatus%20eq%20'False'", 2500, []int{2, 4}},
		{"?$filter=registrationtimestamp%20ge%20'2026-06-22T05:00:00-06:00'", 2500, []int{4, 5}},
		{"?$filter=lastname%20ne%20'x'", 2500, nil},
		{"?$filter=subscriberkey%20eq%20'u-1'%20or%20subscriberkey%20ge%20'u-3'%20and%20optinstatus%20eq%20false", 2500, []int{1, 4}},
		{"?$filter=(subscriberkey%20eq%20'u-1'%20or%20subscriberkey%20ge%20'u-3')%20and%20optinstatus%20eq%20true", 2500, []int{1, 3, 5}},
		{"?$orderBy=firstname", 2500, []int{5, 4, 3, 2, 1}},
		{"?$orderBy=optinstatus%20asc,%20subscriberkey%20desc", 2500, []int{4, 2, 5, 3, 1}},
	} {
		t.Run(row.query, func(t *testing.T) {
			t.Parallel()
			w := send(t, s, "GET", readPath+row.query, "", auth)
			same(t, w, 200, page(readToken(t, w), 1, row.size, len(row.items), row.items...))
		})
	}
}

// Columns come in the data extension's order, and only those that are asked for; $top
// ends a read, whatever its pages are.
func TestReadRowsParts(t *testing.T) {
	t.Parallel()
	s, auth := filled(t)
	row := func(n int, rest string) string {
		return fmt.Sprintf(`{"keys":{"subscriberkey":"u-%d"},"values":{%s}}`, n, fmt.Sprintf(rest, n))
	}
	const all = `"emailaddress":"u-%[1]d@example.org","firstname":"It's E","lastname":"","optinstatus":"True",` +
		`"registrationtimestamp":"6/20/2026 4:00:00 AM","source":"","ipaddress":"","useragent":"","pageurl":""`
	for query, want := range map[string]string{
		"$top=1": `"pageSize":2500,"page":1,"count":1,"top":1,"items":[` + row(1, all) + `]}`,
		"$fields=EmailAddress,%20subscriberkey&$top=2": `"pageSize":2500,"page":1,"count":2,"top":2,"items":[` +
			row(1, `"emailaddress":"u-%d@example.org"`) + "," + row(2, `"emailaddress":"u-%d@example.org"`) + `]}`,
		"$fields=lastname&$top=3&$pageSize=2&page=2": `"pageSize":2,"page":2,"count":3,"top":3,"items":[{"keys":{},"values":{"lastname":""}}]}`,
	} {
		got := send(t, s, "GET", readPath+"?"+query, "", auth).Body.String()
		if _, got, _ := strings.Cut(got, `"customObjectKey":"Web_Registrations",`); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}

func TestReadRowsRefused(t *testing.T) {
	t.Parallel()
	s, auth := filled(t)
	for _, row := range []struct{ query, parameter string }{
		{"$filter=subscriberkey+eq+'u-2'", "$filter"},
		{"%24filter=subscriberkey+eq+'u-2'", "$filter"},
		{"$filter=subscriberkey%20eq%20'u+2'", "$filter"},
		{"$filter=nothing%20eq%20'x'", "$filter"},
		{"$filter=subscriberkey%20is%20'x'", "$filter"},
		{"$filter=subscriberkey%20eq", "$filter"},
		{"$filter=subscriberkey%20eq%20'x", "$filter"},
		{"$filter=subscriberkey%20eq%20'x'%20'y'", "$filter"},
		{"$filter=(subscriberkey%20eq%20'x'", "$filter"},
		{"$filter=subscriberkey%20eq%20)", "$filter"},
		{"$filter=and", "$filter"},
		{"$filter=%zz", "$filter"},
		{"$filter=" + strings.Repeat("(", 5000), "$filter"},
		{"$filter=" + strings.Repeat("(", 100) + "subscriberkey%20eq%20'x'", "$filter"},
		{"$orderBy=nothing", "$orderBy"},
		{"$orderBy=subscriberkey%20up", "$orderBy"},
		{"$orderBy=,", "$orderBy"},
		{"$orderBy=subscriberkey+desc", "$orderBy"},
		{"$page=0", "$page"},
		{"$page=x", "$page"},
		{"$pagesize=-1", "$pageSize"},
		{"page=0", "$page"},
		{"$top=0", "$top"},
		{"$top=many", "$top"},
		{"$fields=subscriberkey,nothing", "$fields"},
		{"$fields=", "$fields"},
	} {
		t.Run(row.query[:min(len(row.query), 60)], func(t *testing.T) {
			t.Parallel()
			same(t, send(t, s, "GET", readPath+"?"+row.query, "", auth), 400,
				`{"message":"request parameter `+row.parameter+` could not be resolved","errorcode":10003,"documentation":""}`)
		})
	}
}

// A request token ends by age and by number.
func TestRequestTokenEnds(t *testing.T) {
	t.Parallel()
	s, auth := filled(t)
	first := readToken(t, send(t, s, "GET", readPath, "", auth))
	more := func(token string) int {
		return send(t, s, "GET", "/data/v1/customobjectdata/token/"+token+"/rowset", "", auth).Code
	}
	if got := more(first); got != 200 {
		t.Errorf("fresh token: %d", got)
	}
	for range 1000 {
		send(t, s, "GET", readPath+"?$pageSize=1", "", auth)
	}
	if got := more(first); got != 404 {
		t.Errorf("token before a thousand others: %d", got)
	}
	last := readToken(t, send(t, s, "GET", readPath, "", auth))
	if err := s.Advance(30 * time.Minute); err != nil {
		t.Fatal(err)
	}
	auth = authorize(t, s)
	if got := more(last); got != 404 {
		t.Errorf("token after half an hour: %d", got)
	}
}

// Numbers and decimals are compared as numbers.
func TestReadRowsNumbers(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.AddDataExtension("11111111-1111-4111-8111-111111111111", "T", []sandbox.Column{
		{Name: "Id", Type: "Number", PrimaryKey: true}, {Name: "X", Type: "Decimal", Length: 9, Scale: 2},
	})
	auth := authorize(t, s)
	send(t, s, "POST", "/hub/v1/dataevents/key:T/rowset",
		`[{"keys":{"Id":9},"values":{"X":"1.50"}},{"keys":{"Id":10},"values":{"X":1.5}},{"keys":{"Id":11},"values":{"X":20}}]`, auth)
	var got struct {
		Items []struct{ Keys map[string]string }
	}
	w := send(t, s, "GET", "/data/v1/customobjectdata/key/T/rowset?$filter=x%20eq%201.5&$orderBy=id%20desc", "", auth)
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, item := range got.Items {
		ids = append(ids, item.Keys["id"])
	}
	if diff := cmp.Diff([]string{"10", "9"}, ids); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}
