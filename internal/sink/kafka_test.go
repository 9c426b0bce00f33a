package sink_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"onramp/internal/onramp"
	"onramp/internal/sink"
)

const partitions = 3

func newCluster(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func newKafkaSink(t *testing.T, cfg sink.Config, cluster *kfake.Cluster) *sink.Sender {
	t.Helper()
	return newSender(t, cfg, onramp.Sink{Kafka: &onramp.Kafka{Brokers: cluster.ListenAddrs(), Topic: "events"}})
}

// record is what a consumer sees.
type record struct {
	Partition  int32
	Key, Value string
	Headers    []string
}

// consume reads n records of the topic, each partition's in order.
func consume(t *testing.T, cluster *kfake.Cluster, n int) []record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics("events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	var all []record
	for len(all) < n {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d records came, want %d", len(all), n)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got := record{Partition: r.Partition, Key: string(r.Key), Value: string(r.Value)}
			for _, h := range r.Headers {
				got.Headers = append(got.Headers, h.Key+": "+string(h.Value))
			}
			all = append(all, got)
		})
	}
	return all
}

// values gives what came, without the envelope.
func values(t *testing.T, records []record) []int {
	t.Helper()
	all := make([]int, len(records))
	for i, r := range records {
		var e struct{ Data struct{ N int } }
		if err := json.Unmarshal([]byte(r.Value), &e); err != nil {
			t.Fatal(err)
		}
		all[i] = e.Data.N
	}
	return all
}

var produced = onramp.Outcome{Verdict: onramp.Delivered, Detail: "stored in the topic"}

// Events are records; those about the same one are in one partition, in order.
func TestKafka(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(partitions, "events"))
	sender := newKafkaSink(t, sink.Config{}, cluster)
	checkOutcomes(t, sender.Send(t.Context(), calls(1)), alike(1, produced))
	got := consume(t, cluster, 1)
	got[0].Partition = 0
	if diff := cmp.Diff([]record{{Key: "47111", Value: wrapped(1), Headers: []string{
		"content-type: application/cloudevents+json", "ce_id: " + event(1).ID, "ce_type: TransactionalSendEvents.EmailSent",
	}}}, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}

	var lanes sync.WaitGroup // several calls at once, as the pump makes them: never one key twice
	for lane := range 4 {
		lanes.Go(func() {
			for turn := range 5 {
				c := calls(10)
				for i := range c.Deliveries {
					e := event(1000*lane + 100*turn + i)
					e.Subject = fmt.Sprint(lane, "-", i)
					c.Deliveries[i].Event = e
				}
				checkOutcomes(t, sender.Send(t.Context(), c), alike(10, produced))
			}
		})
	}
	lanes.Wait()
	last, place := map[string]int{}, map[string]int32{}
	records := consume(t, cluster, 201)
	for i, n := range values(t, records) {
		r := records[i]
		if at, seen := place[r.Key]; seen && (at != r.Partition || n <= last[r.Key]) {
			t.Errorf("of key %s: %d came after %d, partition %d after %d", r.Key, n, last[r.Key], r.Partition, at)
		}
		last[r.Key], place[r.Key] = n, r.Partition
	}
}

// What is sent again says so in a header, too.
func TestKafkaResend(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "events"))
	again := call(event(1))
	again.Deliveries[0].Run = 12
	checkOutcomes(t, newKafkaSink(t, sink.Config{}, cluster).Send(t.Context(), again), alike(1, produced))
	want := []record{{Key: "47111", Value: strings.Replace(wrapped(1), `,"data":`, `,"resend":"12","data":`, 1), Headers: []string{
		"content-type: application/cloudevents+json", "ce_id: " + event(1).ID, "ce_type: TransactionalSendEvents.EmailSent", "ce_resend: 12",
	}}}
	if diff := cmp.Diff(want, consume(t, cluster, 1)); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// An event about nobody has no key.
func TestKafkaWithoutKey(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "events"))
	e := event(1)
	e.Subject, e.Type = "", ""
	checkOutcomes(t, newKafkaSink(t, sink.Config{}, cluster).Send(t.Context(), call(e)), alike(1, produced))
	got := consume(t, cluster, 1)[0]
	if got.Key != "" || got.Headers[2] != "ce_type: unknown" {
		t.Errorf("got %+v", got)
	}
}

// The table of outcomes: what brokers answer to a record.
func TestKafkaAnswers(t *testing.T) {
	t.Parallel()
	const (
		record = "raise the topic's max.message.bytes, or make its validation accept the event, then retry it"
		topic  = "create the topic; Onramp does not create topics"
		acl    = "grant the sink's user WRITE on the topic and, before Kafka 3.0, IDEMPOTENT_WRITE on the cluster"
	)
	for _, c := range []struct {
		err  *kerr.Error
		key  kmsg.Key
		want onramp.Outcome
	}{
		{kerr.MessageTooLarge, kmsg.Produce, onramp.Outcome{Verdict: onramp.Rejected, Hint: record}},
		{kerr.RecordListTooLarge, kmsg.Produce, onramp.Outcome{Verdict: onramp.Rejected, Hint: record}},
		{kerr.InvalidRecord, kmsg.Produce, onramp.Outcome{Verdict: onramp.Rejected, Hint: record}},
		{kerr.UnknownTopicOrPartition, kmsg.Produce, onramp.Outcome{Verdict: onramp.Blocked, Hint: topic}},
		{kerr.UnknownTopicOrPartition, kmsg.Metadata, onramp.Outcome{Verdict: onramp.Blocked, Hint: topic}},
		{kerr.InvalidTopicException, kmsg.Metadata, onramp.Outcome{Verdict: onramp.Blocked, Hint: topic}},
		{kerr.TopicAuthorizationFailed, kmsg.Produce, onramp.Outcome{Verdict: onramp.Blocked, Hint: acl}},
		{kerr.TopicAuthorizationFailed, kmsg.Metadata, onramp.Outcome{Verdict: onramp.Blocked, Hint: acl}},
		{kerr.ClusterAuthorizationFailed, kmsg.InitProducerID, onramp.Outcome{Verdict: onramp.Blocked, Hint: acl}},
		{kerr.UnknownServerError, kmsg.InitProducerID, onramp.Outcome{Verdict: onramp.Retry, Hint: "check the health of the brokers"}},
		{kerr.PolicyViolation, kmsg.Produce, onramp.Outcome{Verdict: onramp.Blocked, Hint: "look in the brokers' logs for why they refuse the sink's records"}},
		{kerr.LeaderNotAvailable, kmsg.Metadata, onramp.Outcome{Verdict: onramp.Retry, Hint: "check the health of the brokers"}},
		{kerr.UnknownServerError, kmsg.Produce, onramp.Outcome{Verdict: onramp.Retry, Hint: "check the health of the brokers"}},
	} {
		t.Run(c.err.Message+" to "+c.key.Name(), func(t *testing.T) {
			t.Parallel()
			cluster := newCluster(t, kfake.SeedTopics(1, "events"))
			sender := newKafkaSink(t, sink.Config{Timeout: 10 * time.Second}, cluster)
			fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{c.key}, Err: c.err, Count: -1, TopLevel: c.key == kmsg.InitProducerID})
			got := sender.Send(t.Context(), calls(1))
			if !strings.HasPrefix(got[0].Detail, c.err.Message) {
				t.Errorf("detail %q", got[0].Detail)
			}
			c.want.Code, c.want.Detail = int(c.err.Code), got[0].Detail
			checkOutcomes(t, got, []onramp.Outcome{with(c.want, "produce to topic events", 1)})
			fault.Remove()
			checkOutcomes(t, sender.Send(t.Context(), calls(1)), alike(1, produced))
		})
	}
}

// What passes by itself, the client tries again within the call.
func TestKafkaPassing(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "events"))
	sender := newKafkaSink(t, sink.Config{}, cluster)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: 2})
	checkOutcomes(t, sender.Send(t.Context(), calls(3)), alike(3, produced))
	if diff := cmp.Diff([]int{1, 2, 3}, values(t, consume(t, cluster, 3))); diff != "" {
		t.Error(diff)
	}
}

// A topic that is not there stops the sink until it is, also one that is
// created again.
func TestKafkaTopic(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t)
	sender := newKafkaSink(t, sink.Config{}, cluster)
	if diff := cmp.Diff([]string{"blocked", "blocked"}, verdicts(sender.Send(t.Context(), calls(2)))); diff != "" {
		t.Fatal(diff)
	}
	if err := cluster.CreateTopic("events", 1, nil); err != nil {
		t.Fatal(err)
	}
	checkOutcomes(t, sender.Send(t.Context(), calls(2)), alike(2, produced))
	if err := cluster.DeleteTopic("events"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"blocked"}, verdicts(sender.Send(t.Context(), calls(1)))); diff != "" {
		t.Error(diff)
	}
	if err := cluster.CreateTopic("events", 1, nil); err != nil {
		t.Fatal(err)
	}
	checkOutcomes(t, sender.Send(t.Context(), call(event(3))), alike(1, produced))
	if diff := cmp.Diff([]int{3}, values(t, consume(t, cluster, 1))); diff != "" {
		t.Error(diff)
	}
}

// One that is too large for the topic takes no other one with it.
func TestKafkaTooLarge(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t)
	if err := cluster.CreateTopic("events", 1, map[string]string{"max.message.bytes": "4000"}); err != nil {
		t.Fatal(err)
	}
	sender := newKafkaSink(t, sink.Config{}, cluster)
	c := calls(8)
	large := *event(6)
	large.Body = json.RawMessage(`{"n":6,"noise":"` + noise(9000) + `"}`)
	c.Deliveries[5].Event = &large
	huge := *event(3)
	huge.Body = json.RawMessage(`{"n":3,"noise":"` + noise(2<<20) + `"}`)
	c.Deliveries[2].Event = &huge
	want := []string{"delivered", "delivered", "rejected", "delivered", "delivered", "rejected", "delivered", "delivered"}
	if diff := cmp.Diff(want, verdicts(sender.Send(t.Context(), c))); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{1, 2, 4, 5, 7, 8}, values(t, consume(t, cluster, 6))); diff != "" {
		t.Error(diff)
	}
}

// noise is a text that can't be compressed.
func noise(n int) string {
	var b strings.Builder
	for x := uint64(1); b.Len() < n; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b.WriteString(strconv.FormatUint(x, 36))
	}
	return b.String()[:n]
}

// Brokers that hang make the call late, and one that is abandoned ends at once.
func TestKafkaHangs(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "events"))
	asked := make(chan struct{}, 100)
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked <- struct{}{}
		return nil, nil, true
	})
	late := onramp.Outcome{Verdict: onramp.Retry, Detail: "no answer within the time-out", Late: true}
	begun := time.Now()
	checkOutcomes(t, newKafkaSink(t, sink.Config{Timeout: 300 * time.Millisecond}, cluster).Send(t.Context(), calls(2)), []onramp.Outcome{
		with(late, "produce to topic events", 1), with(late, "produce to topic events", 2),
	})
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	<-asked
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		<-asked
		stop()
	}()
	checkOutcomes(t, newKafkaSink(t, sink.Config{Timeout: time.Minute}, cluster).Send(ctx, calls(1)), []onramp.Outcome{
		with(onramp.Outcome{Verdict: onramp.Retry, Detail: "onramp stops"}, "produce to topic events", 1),
	})
}

// slowNetwork keeps back what clients have written, on request.
type slowNetwork struct {
	net.Listener
	mu    sync.Mutex
	conns []*slowConn
}

func (n *slowNetwork) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &slowConn{Conn: conn}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns = append(n.conns, c)
	return c, nil
}

// hold keeps back what comes by the connections that there are, until release.
func (n *slowNetwork) hold() (release func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	gate := make(chan struct{})
	for _, c := range n.conns {
		c.gate.Store(&gate)
	}
	return func() { close(gate) }
}

type slowConn struct {
	net.Conn
	gate atomic.Pointer[chan struct{}]
}

func (c *slowConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if gate := c.gate.Load(); gate != nil {
		<-*gate
	}
	return n, err
}

// What was given up while it was under way, and reaches the broker after all, does
// not come after what came later of its key.
func TestKafkaComesLate(t *testing.T) {
	t.Parallel()
	var network *slowNetwork
	cluster := newCluster(t, kfake.SeedTopics(1, "events"), kfake.ListenFn(func(kind, address string) (net.Listener, error) {
		listener, err := net.Listen(kind, address)
		network = &slowNetwork{Listener: listener}
		return network, err
	}))
	sender := newKafkaSink(t, sink.Config{Timeout: 500 * time.Millisecond}, cluster)
	checkOutcomes(t, sender.Send(t.Context(), calls(1)), alike(1, produced))
	seen := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Count: -1, Observe: true})
	release := network.hold()
	two, three := event(2), event(3)
	three.Subject = two.Subject
	if diff := cmp.Diff([]string{"retry late"}, verdicts(sender.Send(t.Context(), call(two)))); diff != "" {
		t.Error(diff)
	}
	retried(t, sender, two)
	retried(t, sender, three)
	before := seen.Hits()
	release()
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if err := seen.Wait(ctx, before+1); err != nil {
		t.Errorf("what was held back never came: %v", err)
	}
	retried(t, sender, event(4))
	if diff := cmp.Diff([]int{1, 2, 3, 4}, values(t, consume(t, cluster, int(cluster.PartitionInfo("events", 0).HighWatermark)))); diff != "" {
		t.Errorf("came as (-want +got):\n%s", diff)
	}
}

// A broker that has stored records, and whose answer is lost, gets them again,
// before every later one.
func TestKafkaAnswerLost(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "events"))
	sender := newKafkaSink(t, sink.Config{Timeout: 300 * time.Millisecond}, cluster)
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.RequestTimedOut, Count: -1})
	if got := sender.Send(t.Context(), calls(1))[0]; got.Verdict != onramp.Retry || !got.Late {
		t.Errorf("got %v, %s", got.Verdict, got.Detail)
	}
	fault.Remove()
	again, next := event(1), event(2)
	next.Subject = again.Subject
	for _, e := range []*onramp.Event{again, next} {
		retried(t, sender, e)
	}
	cluster.DropControl()
	got := values(t, consume(t, cluster, int(cluster.PartitionInfo("events", 0).HighWatermark)))
	if len(got) < 2 || got[len(got)-1] != 2 || got[len(got)-2] != 1 {
		t.Errorf("came as %v", got)
	}
	for _, n := range got[:len(got)-1] {
		if n != 1 {
			t.Errorf("came as %v", got)
		}
	}
}

// retried sends an event until it is delivered, as the pump would.
func retried(t *testing.T, sender *sink.Sender, e *onramp.Event) {
	t.Helper()
	for range 20 {
		got := sender.Send(t.Context(), call(e))[0]
		if got.Verdict == onramp.Delivered {
			return
		}
		t.Logf("%v: %s", got.Verdict, got.Detail)
	}
	t.Errorf("event %s was never delivered", e.ID)
}

// Brokers that were gone are found again.
func TestKafkaLost(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "events"))
	_, port, err := net.SplitHostPort(cluster.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	sender := newKafkaSink(t, sink.Config{Timeout: time.Second}, cluster)
	checkOutcomes(t, sender.Send(t.Context(), calls(1)), alike(1, produced))
	cluster.Close()
	for range 2 {
		begun := time.Now()
		got := sender.Send(t.Context(), call(event(2)))[0]
		if got.Verdict != onramp.Retry || got.Late || !strings.Contains(got.Detail, "connection refused") {
			t.Errorf("got %v, late: %v, %s", got.Verdict, got.Late, got.Detail)
		}
		if took := time.Since(begun); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
	}
	cluster = newCluster(t, kfake.SeedTopics(1, "events"), kfake.Ports(number))
	retried(t, sender, event(2))
	if diff := cmp.Diff([]int{2}, values(t, consume(t, cluster, 1))); diff != "" {
		t.Error(diff)
	}
}

// A wrong password stops the sink. (The fake only ends the connection, so that a
// broker's answer is put in.)
func TestKafkaWrongPassword(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "events"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "right"))
	cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(r kmsg.Request) (kmsg.Response, error, bool) {
		resp := r.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return resp, nil, true
	})
	kafka := &onramp.Kafka{Brokers: cluster.ListenAddrs(), Topic: "events", SASL: "plain", User: "u", Password: "right"}
	sender := newSender(t, sink.Config{Timeout: 5 * time.Second}, onramp.Sink{Kafka: kafka})
	got := sender.Send(t.Context(), calls(1))
	want := onramp.Outcome{Verdict: onramp.Blocked, Code: 58, Detail: got[0].Detail, Hint: "check the sink's sasl, user and password", Refused: true}
	checkOutcomes(t, got, []onramp.Outcome{with(want, "produce to topic events", 1)})
	checkOutcomes(t, sender.Send(t.Context(), calls(1)), alike(1, produced))
}

// Each way to log in works.
func TestKafkaLogin(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t, kfake.SeedTopics(1, "events"), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "u", "right"), kfake.Superuser("SCRAM-SHA-256", "u", "right"), kfake.Superuser("SCRAM-SHA-512", "u", "right"))
	for _, c := range []struct {
		sasl     string
		password onramp.Secret
		want     onramp.Verdict
		hint     string
	}{
		{"plain", "right", onramp.Delivered, ""},
		{"scram-sha-256", "right", onramp.Delivered, ""},
		{"scram-sha-512", "right", onramp.Delivered, ""},
		{"", "", onramp.Retry, "check the sink's brokers, tls and sasl, the network, and that the brokers are running"},
	} {
		t.Run(c.sasl+" "+string(c.password), func(t *testing.T) {
			t.Parallel()
			sender := newSender(t, sink.Config{Timeout: 5 * time.Second}, onramp.Sink{Kafka: &onramp.Kafka{
				Brokers: cluster.ListenAddrs(), Topic: "events", SASL: c.sasl, User: "u", Password: c.password,
			}})
			got := sender.Send(t.Context(), calls(1))[0]
			if got.Verdict != c.want || got.Hint != c.hint {
				t.Errorf("got %v, %s, %s; want %v, %s", got.Verdict, got.Detail, got.Hint, c.want, c.hint)
			}
		})
	}
}

// A certificate is checked against the authority that is given.
func TestKafkaTLS(t *testing.T) {
	t.Parallel()
	file, config := certificate(t)
	cluster := newCluster(t, kfake.SeedTopics(1, "events"), kfake.TLS(config))
	for _, c := range []struct {
		name string
		file string
		want []string
	}{
		{"known", file, []string{"delivered"}},
		{"unknown", "", []string{"blocked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sender := newSender(t, sink.Config{Timeout: 5 * time.Second}, onramp.Sink{Kafka: &onramp.Kafka{
				Brokers: cluster.ListenAddrs(), Topic: "events", TLS: true, CAFile: c.file,
			}})
			got := sender.Send(t.Context(), calls(1))
			if diff := cmp.Diff(c.want, verdicts(got)); diff != "" {
				t.Errorf("%s\n%s", diff, got[0].Reason())
			}
		})
	}
}
