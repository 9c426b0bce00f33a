package sink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"onramp/internal/attempt"
	"onramp/internal/onramp"
)

// kafka produces events to a topic, acknowledged by all replicas in sync. The
// record's key is whom the event is about, so that these stay in one partition and
// in order; its value is the envelope (CloudEvents Kafka protocol binding 1.0,
// structured content mode).
//
// A record that is given up in flight may have been written. It can't come after
// the next one of its key all the same: the client then raises the epoch of its
// producer, and a partition refuses an older epoch than it has seen (KIP-360).
type kafka struct {
	topic   string
	options []kgo.Opt
	timeout time.Duration

	mu      sync.Mutex
	client  *kgo.Client // nil until the first use
	closed  bool
	healthy atomic.Bool // the topic could be produced to, the last time

	// traffic is held for reading by those who produce, and for writing by one who
	// must know that the client batches nothing of others with theirs.
	traffic sync.RWMutex
}

const (
	longestStep  = 10 * time.Second       // of one request or connection; several fit into a time-out
	shortestStep = 100 * time.Millisecond // that the client allows
	metadataAge  = 250 * time.Millisecond // at least, before it is asked for again
	kafkaBackoff = 100 * time.Millisecond // doubles up to
	maxBackoff   = time.Second            //
	cancelGrace  = 5 * time.Second        // for records to end after the time-out
)

func newKafka(cfg Config, s *onramp.Kafka) (*kafka, error) {
	if s.Topic == "" || len(s.Brokers) == 0 {
		return nil, errors.New("kafka: needs brokers and a topic")
	}
	k := &kafka{topic: s.Topic, timeout: cfg.Timeout}
	step := min(max(cfg.Timeout, shortestStep), longestStep)
	k.options = []kgo.Opt{
		kgo.SeedBrokers(s.Brokers...),
		kgo.ClientID("onramp"),
		kgo.DisableClientMetrics(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.AllowIdempotentProduceCancellation(),
		kgo.RecordDeliveryTimeout(max(cfg.Timeout, time.Second)), // a call's own end is exact
		kgo.ProduceRequestTimeout(step),
		kgo.RequestTimeoutOverhead(step),
		kgo.RetryTimeout(cfg.Timeout),
		kgo.RetryBackoffFn(func(tries int) time.Duration { return min(kafkaBackoff<<min(tries, 10), maxBackoff) }),
		kgo.MetadataMinAge(metadataAge),
		kgo.UnknownTopicRetries(1),
	}
	var config *tls.Config
	if s.TLS || s.CAFile != "" {
		var err error
		if config, err = tlsConfig(s.CAFile); err != nil {
			return nil, fmt.Errorf("kafka: %w", err)
		}
	}
	k.options = append(k.options, kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, step)
		defer cancel()
		return dialBroker(ctx, cfg.Fence.Dialer(cfg.Guard.DialContext), config, network, address)
	}))
	if s.SASL != "" {
		mechanism, err := saslMechanism(s)
		if err != nil {
			return nil, fmt.Errorf("kafka: %w", err)
		}
		k.options = append(k.options, kgo.SASL(mechanism))
	}
	if err := kgo.ValidateOpts(k.options...); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return k, nil
}

// dialBroker connects to a broker, with TLS unless there is no configuration for it.
func dialBroker(ctx context.Context, dial attempt.Dial, config *tls.Config, network, address string) (net.Conn, error) {
	conn, err := dial(ctx, network, address)
	if err != nil || config == nil {
		return conn, err
	}
	config = config.Clone()
	if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// tlsConfig trusts the authorities of a PEM file, or else those of the system.
func tlsConfig(file string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if file == "" {
		return config, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("ca_file: holds no certificate in PEM form")
	}
	return config, nil
}

func saslMechanism(s *onramp.Kafka) (sasl.Mechanism, error) {
	if s.User == "" {
		return nil, errors.New("sasl: needs a user")
	}
	both := scram.Auth{User: s.User, Pass: s.Password.Reveal()}
	switch s.SASL {
	case "plain":
		return plain.Auth{User: s.User, Pass: s.Password.Reveal()}.AsMechanism(), nil
	case "scram-sha-256":
		return both.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return both.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("sasl: %q is none of plain, scram-sha-256 and scram-sha-512", s.SASL)
}

func (k *kafka) route(*message) string { return "produce to topic " + k.topic }

// deliver produces all messages, and those that were refused in company again:
// the broker judges whole batches, which the client makes of everything that is
// on its way to a partition.
func (k *kafka) deliver(ctx context.Context, messages []message) []onramp.Outcome {
	again := false
	return isolate(messages, func(part []message) []onramp.Outcome {
		lock, unlock := k.traffic.RLock, k.traffic.RUnlock
		if again {
			lock, unlock = k.traffic.Lock, k.traffic.Unlock
		}
		lock()
		defer unlock()
		again = true
		return k.attempt(ctx, part)
	})
}

func (k *kafka) attempt(ctx context.Context, messages []message) []onramp.Outcome {
	ctx, end := attempt.WithTimeout(ctx, k.timeout)
	defer end()
	client, err := k.connect(ctx)
	if err != nil {
		return attempt.Alike(len(messages), judgeKafka(err))
	}
	outcomes := make([]onramp.Outcome, len(messages))
	well, spent := true, false
	for i, err := range k.produce(ctx, client, messages) {
		outcomes[i] = judgeKafka(err)
		well = well && attempt.Trouble(outcomes[i:i+1]) == nil
		spent = spent || isSpent(err)
	}
	k.healthy.Store(well)
	if spent {
		k.drop(client)
	}
	return outcomes
}

// reach asks the brokers for the topic.
func (k *kafka) reach(ctx context.Context) onramp.Outcome {
	ctx, end := attempt.WithTimeout(ctx, k.timeout)
	defer end()
	k.healthy.Store(false) // so that they are asked
	if _, err := k.connect(ctx); err != nil {
		return judgeKafka(err)
	}
	return onramp.Outcome{Verdict: onramp.Delivered, Detail: "the brokers answer, and have the topic " + k.topic}
}

// connect gives the client. After trouble it finds out first whether the brokers
// can be reached and have the topic: an answer is there at once then, and it says
// more than that records were not taken in time.
func (k *kafka) connect(ctx context.Context) (*kgo.Client, error) {
	client, err := k.open()
	if err != nil || k.healthy.Load() {
		return client, err
	}
	if err = client.Ping(ctx); kgo.IsRetryableBrokerErr(err) {
		err = client.Ping(ctx) // it has noticed only now that an old connection is gone
	}
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	req := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr(k.topic)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("ask for topic: %w", err)
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, err
		}
	}
	return client, nil
}

// open makes the client, which connects to nobody yet.
func (k *kafka) open() (*kgo.Client, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, errStopped
	}
	if k.client == nil {
		client, err := kgo.NewClient(k.options...)
		if err != nil {
			return nil, err
		}
		k.client = client
	}
	return k.client, nil
}

// produce returns one error for each message. Nothing of it is under way any more
// then.
func (k *kafka) produce(ctx context.Context, client *kgo.Client, messages []message) []error {
	errs := make([]error, len(messages))
	var open sync.WaitGroup
	open.Add(len(messages))
	for i := range messages {
		client.Produce(ctx, k.record(&messages[i]), func(_ *kgo.Record, err error) {
			errs[i] = err
			open.Done()
		})
	}
	ended := make(chan struct{})
	go func() {
		open.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return errs
	case <-ctx.Done():
	}
	grace := time.NewTimer(cancelGrace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
		k.drop(client) // ends whatever is still under way
		<-ended
	}
	return errs
}

func (k *kafka) record(m *message) *kgo.Record {
	r := &kgo.Record{Topic: k.topic, Value: m.body, Headers: []kgo.RecordHeader{
		{Key: "content-type", Value: []byte(envelopeType)},
		{Key: "ce_id", Value: []byte(m.id)},
		{Key: "ce_type", Value: []byte(attribute(m.eventType))},
	}}
	if m.resend != "" {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "ce_resend", Value: []byte(m.resend)})
	}
	for name, value := range traceHeaders(m.trace) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	if m.key != "" {
		r.Key = []byte(m.key) // without one, partitions take turns
	}
	return r
}

// drop closes a client that is still in use; the next call makes a new one.
func (k *kafka) drop(client *kgo.Client) {
	k.mu.Lock()
	if k.client == client {
		k.client = nil
	}
	k.mu.Unlock()
	k.healthy.Store(false)
	client.Close()
}

func (k *kafka) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.client != nil {
		k.client.Close()
	}
	return nil
}
