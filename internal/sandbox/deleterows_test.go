package sandbox_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Rows are removed by their keys, whatever the values; the others stay, and can still be
// updated.
func TestDeleteRows(t *testing.T) {
	t.Parallel()
	key := func(key string) string { return `{"keys":{"SubscriberKey":"` + key + `"},"values":{}}` }
	for name, row := range map[string]struct {
		target, body string
		status       int
		want         string // "" is the request, echoed
		left         []string
	}{
		"two":            {rowset + "/delete", "[" + key("u-2") + "," + key("u-4") + "]", 200, "", []string{"u-1", "u-3", "u-5"}},
		"by GUID":        {"/hub/v1/dataevents/" + registrationsID + "/rowset/delete", "[" + key("u-1") + "]", 200, "", []string{"u-2", "u-3", "u-4", "u-5"}},
		"none such":      {rowset + "/delete", "[" + key("u-9") + "]", 200, "", []string{"u-1", "u-2", "u-3", "u-4", "u-5"}},
		"one without":    {rowset + "/delete", "[" + key("u-1") + `,{"values":{"FirstName":"Ana"}}]`, 400, noKeys, []string{"u-1", "u-2", "u-3", "u-4", "u-5"}},
		"no list":        {rowset + "/delete", "{", 400, badFormat, []string{"u-1", "u-2", "u-3", "u-4", "u-5"}},
		"unknown object": {"/hub/v1/dataevents/key:Nothing/rowset/delete", "[]", 404, noObject, []string{"u-1", "u-2", "u-3", "u-4", "u-5"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, auth := filled(t)
			w := send(t, s, "POST", row.target, row.body, auth)
			if row.want == "" {
				row.want = row.body
			}
			if w.Code != row.status || w.Body.String() != row.want {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			for _, key := range row.left { // an update finds its row
				if w := send(t, s, "POST", rowset, "["+person(key, "")+"]", auth); w.Code != 200 {
					t.Errorf("update of %s: %d %s", key, w.Code, w.Body)
				}
			}
			var left []string
			for _, stored := range s.State().DataExtensions["Web_Registrations"].Rows {
				left = append(left, stored["SubscriberKey"].(string))
			}
			slices.Sort(left)
			if diff := cmp.Diff(row.left, left); diff != "" {
				t.Error(diff)
			}
		})
	}
}
