package sink_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/onramp"
	"onramp/internal/sink"
)

// The lines about a person go, whatever tells that they are; all others stay as they are, and
// the sink goes on.
func TestRemoveLines(t *testing.T) {
	t.Parallel()
	line := func(data string) string { return `{"specversion":"1.0","id":"i","data":` + data + "}\n" }
	const about = `{"eventCategoryType":"TransactionalSendEvents.EmailSent","definitionKey":"welcome",`
	gone := []string{
		line(about + `"info":{"to":"ANA@example.org"},"compositeId":"1.2.3"}`),
		line(about + `"composite":{"contactKey":"U-1"}}`),
		line(`{"eventCategoryType":"EngagementEvents.EmailOpen","composite":{"jobId":"7","batchId":"8","subscriberId":"9"}}`),
	}
	stay := []string{
		line(about + `"info":{"to":"bob@example.org","note":"ana"}}`),
		line(`{"eventCategoryType":"EngagementEvents.EmailOpen","composite":{"jobId":"7","batchId":"8","subscriberId":"10"}}`),
		line(`{"data":"u-1x"}`), "ana@example.org, of somebody else's program\n", "\n",
	}
	read := func(data string) onramp.Event { return onramp.ReadEvent([]byte(data)) }
	if e := read(`{"eventCategoryType":"EngagementEvents.EmailOpen","composite":{"jobId":"7","batchId":"8","subscriberId":"9"}}`); e.Send != "7.8.9" {
		t.Fatalf("the send is %q", e.Send)
	}
	path, sender := newFileSink(t)
	whole := stay[0] + gone[0] + stay[1] + gone[1] + gone[2] + stay[2] + stay[3] + stay[4]
	if err := os.WriteFile(path, []byte(whole), 0o640); err != nil {
		t.Fatal(err)
	}
	who := sink.About{SubscriberKeys: []string{"u-1"}, Addresses: []string{"ana@example.org"}, Sends: []string{"7.8.9"}}
	for _, want := range []int64{3, 0} {
		if n, err := sender.RemoveLines(t.Context(), "s", who); n != want || err != nil {
			t.Errorf("removed %d lines, %v; want %d", n, err, want)
		}
	}
	checkFile(t, path, strings.Join(stay, ""))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Error(info.Mode(), err)
	}
	checkOutcomes(t, sender.Send(t.Context(), call(event(3))), alike(1, appended))
	checkFile(t, path, strings.Join(stay, "")+wrapped(3)+"\n")
	entries, err := os.ReadDir(strings.TrimSuffix(path, "/events.jsonl"))
	if err != nil || len(entries) != 1 {
		t.Error(entries, err)
	}
	if n, err := sender.RemoveLines(t.Context(), "no such sink", who); n != 0 || err != nil {
		t.Error(n, err)
	}
	if diff := cmp.Diff([]string{"s"}, sender.Files()); diff != "" {
		t.Error(diff)
	}
}
