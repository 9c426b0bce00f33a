package onramp

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"strings"
)

// Sink is where events are forwarded to. Exactly one of Webhook, Kafka, NATS and
// File is set.
type Sink struct {
	Name    string
	Types   []string // patterns, see MatchesType; none: all
	Batch   int      // most events in one call; 0: what suits the sink
	Webhook *Webhook
	Kafka   *Kafka
	NATS    *NATS
	File    *File
}

// Webhook is an HTTP endpoint that takes events one by one, signed as Standard
// Webhooks has it.
type Webhook struct {
	URL     string            // http or https
	Secrets []Secret          // whsec_ and base64; each one signs, so that the receiver can rotate
	Headers map[string]Secret // to send along
}

// The length of a webhook's secret in bytes (https://www.standardwebhooks.com,
// "Symmetric").
const (
	minWebhookKey = 24
	maxWebhookKey = 64
)

// ParseWebhookSecret gives the bytes of a webhook's secret. It is not ok unless the
// secret is whsec_ and 24 to 64 bytes in base64, as Standard Webhooks has it.
func ParseWebhookSecret(s Secret) (key []byte, ok bool) {
	text, prefixed := strings.CutPrefix(s.Reveal(), "whsec_")
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	// the decoder leaves line breaks out
	if !prefixed || err != nil || strings.ContainsAny(text, "\r\n") || len(key) < minWebhookKey || len(key) > maxWebhookKey {
		return nil, false
	}
	return key, true
}

// ParseWebURL parses a URL. It is not ok unless it is an absolute http or https one.
func ParseWebURL(s string) (u *url.URL, ok bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, false
	}
	return u, true
}

// Kafka is a topic.
type Kafka struct {
	Brokers  []string // host:port
	Topic    string
	TLS      bool
	CAFile   string // PEM; "": the system's
	SASL     string // "", "plain", "scram-sha-256" or "scram-sha-512"
	User     string
	Password Secret
}

// NATS is a JetStream subject.
type NATS struct {
	URLs            []string // nats:// or tls://
	Subject         string   // TypeInSubject stands for the event's type
	CredentialsFile string
	User            string
	Password        Secret
	Token           Secret
	CAFile          string // PEM; "": the system's
}

// TypeInSubject is the part of a NATS subject that each event's type replaces.
const TypeInSubject = "{type}"

var subjectToken = regexp.MustCompile(`^[^\s.*>{}\pC]+$`)

// ValidSubject reports whether events can be published to a NATS subject: tokens
// between periods, without spaces and wildcards (NATS documentation,
// "Subject-Based Messaging"). TypeInSubject may be part of a token. Subjects that
// begin with $ are the server's.
func ValidSubject(subject string) bool {
	for token := range strings.SplitSeq(strings.ReplaceAll(subject, TypeInSubject, "x"), ".") {
		if !subjectToken.MatchString(token) {
			return false
		}
	}
	return !strings.HasPrefix(subject, "$")
}

// File is a file to which events are appended as JSON lines.
type File struct {
	Path string
}

// Takes says whether the sink is to get events of a type.
func (s *Sink) Takes(eventType string) bool {
	for _, pattern := range s.Types {
		if MatchesType(pattern, eventType) {
			return true
		}
	}
	return len(s.Types) == 0
}

// Destination is the sink as the pump knows it.
func (s *Sink) Destination() Destination {
	return Destination{Kind: SinkDestination, Key: s.Name, Batch: s.Batch}
}
