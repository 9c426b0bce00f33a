package outbound_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
)

// A request that was submitted before a restart is only asked for: its results are
// those of the rows in their order, and nothing is submitted again.
func TestResume(t *testing.T) {
	t.Parallel()
	done, failed := status("Complete", "OK", false), status("Complete", "Has Errors", true)
	missing := reply{status: 200, body: `{"requestId":"c1","resultMessages":[{"resultType":"Operational","resultClass":"Error","resultCode":"AsyncRequestStatusNotFound","message":"Unable to locate"}]}`}
	stored := onramp.Outcome{Verdict: onramp.Delivered, Status: 200, Detail: "row stored, request j1", RequestID: "j1"}
	again := func(detail string) onramp.Outcome {
		return onramp.Outcome{Verdict: onramp.Retry, Status: 200, MayHaveArrived: true, Detail: detail}
	}
	unknown := again("Marketing Cloud knows no request j1 after 2m0s")
	bad := onramp.Outcome{
		Verdict: onramp.Rejected, Status: 200, Code: 2, Hint: strings.Replace(hintNull, "contactkey", "subscriberkey", 1),
		Detail: "Cannot locate the existing record. Required keys are missing.; Column [subscriberkey] does not allow null value.",
	}
	insert := dataExtension
	insert.InsertOnly = true
	for name, row := range map[string]struct {
		to   onramp.Destination
		job  job
		want []onramp.Outcome
		sync int // synchronous calls
	}{
		"complete":                 {dataExtension, job{statuses: []reply{done}}, []onramp.Outcome{stored, stored}, 0},
		"still on its way":         {dataExtension, job{statuses: []reply{missing, status("Pending", "", false), status("Executing", "", false), done}}, []onramp.Outcome{stored}, 0},
		"the second row is bad":    {dataExtension, job{statuses: []reply{failed}, pages: []reply{results(1, 3, rowOK, rowNull, rowOK)}}, []onramp.Outcome{stored, bad, stored}, 0},
		"not known":                {dataExtension, job{statuses: []reply{missing}}, []onramp.Outcome{unknown, unknown}, 0},
		"not known, 404":           {dataExtension, job{statuses: []reply{{status: 404, body: `{"message":"Object Not Found","errorcode":30003}`}}}, []onramp.Outcome{unknown}, 0},
		"not known, no status":     {dataExtension, job{statuses: []reply{{status: 200, body: `{}`}}}, []onramp.Outcome{unknown}, 0},
		"never ends":               {dataExtension, job{statuses: []reply{status("Executing", "", false)}}, []onramp.Outcome{again(`request j1 is "Executing" after 15m0s`)}, 0},
		"a row that exists is new": {insert, job{statuses: []reply{failed}, pages: []reply{results(1, 2, rowExists, rowOK)}}, []onramp.Outcome{{Verdict: onramp.Delivered, Status: 200, Detail: "row stored"}, stored}, 1},
		"not of these rows": {dataExtension, job{statuses: []reply{failed}, pages: []reply{results(1, 3, rowOK, rowOK, rowNull)}}, []onramp.Outcome{
			{Verdict: onramp.Retry, MayHaveArrived: true, Detail: "result of request j1: not an answer of Marketing Cloud: 3 results for 2 rows"},
			{Verdict: onramp.Retry, MayHaveArrived: true, Detail: "result of request j1: not an answer of Marketing Cloud: 3 results for 2 rows"},
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for i := range row.want {
					if row.want[i].Verdict != onramp.Delivered { // those are named in the table
						row.want[i].RequestID = "j1"
					}
				}
				r := &rowset{saved: map[string]int{}}
				a := &account{answer: func(req *http.Request, body string) reply {
					if strings.HasPrefix(req.URL.Path, "/hub/") {
						return r.answer(req, body)
					}
					return row.job.answer(req, body)
				}}
				got := a.sends(t).Send(t.Context(), onramp.Call{
					Destination: row.to, Deliveries: several(len(row.want)), RequestID: "j1",
					Submitted: func(id string, _ []onramp.Delivery) { t.Errorf("told of a submission, %s", id) },
				})
				if diff := cmp.Diff(row.want, got); diff != "" {
					t.Error(diff)
				}
				synchronous := 0
				for _, c := range a.calls {
					switch {
					case strings.HasPrefix(c, "POST /hub/"):
						synchronous++
					case !strings.HasPrefix(c, "GET /data/v1/async/j1/"):
						t.Errorf("call: %s", c)
					}
				}
				if synchronous != row.sync {
					t.Errorf("%d synchronous calls, want %d", synchronous, row.sync)
				}
			})
		})
	}
}

// Who submits learns which deliveries are under which request id, also when a bad row
// splits the call.
func TestSubmitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		a := &account{answer: func(req *http.Request, body string) reply {
			switch {
			case strings.HasSuffix(req.URL.Path, "/status"):
				return status("Complete", "OK", false)
			case strings.Contains(body, "p2@"):
				return reply{status: 400, body: `{"message":"bad","errorcode":10005}`}
			}
			n++
			return reply{status: 202, body: `{"requestId":"j` + string(rune('0'+n)) + `"}`}
		}}
		got := map[string][]string{}
		a.sends(t).Send(t.Context(), onramp.Call{
			Destination: dataExtension, Async: true, Deliveries: several(4),
			Submitted: func(id string, deliveries []onramp.Delivery) {
				for _, d := range deliveries {
					got[id] = append(got[id], d.SubscriberKey)
				}
			},
		})
		if diff := cmp.Diff(map[string][]string{"j1": {"p0", "p1"}, "j2": {"p3"}}, got); diff != "" {
			t.Error(diff)
		}
	})
}
