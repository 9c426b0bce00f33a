package config

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"onramp/internal/onramp"
	"onramp/internal/setting"
)

// maxSinkBatch is the most events in one call to a sink.
const maxSinkBatch = 10_000

// sinks reads where events are forwarded to, in the order of the file.
func (r *reader) sinks(v value) []onramp.Sink {
	items, _ := r.list(v)
	var list []onramp.Sink
	names, files := map[string]position{}, map[string]position{}
	for _, item := range items {
		before := len(r.problems)
		keys, ok := r.mapping(item, setting.Sink().Names()...)
		if !ok {
			continue
		}
		clear := len(r.problems) == before
		s := onramp.Sink{Name: r.needed(keys["name"], "give the sink a name")}
		if s.Name != "" {
			r.checkName(keys["name"].position, s.Name, "sink")
		}
		r.claim(names, keys["name"], s.Name, "sink", "name")
		s.Types = r.eventTypes(keys["types"], scalar.eventPattern)
		s.Batch = r.batch(keys["batch"], maxSinkBatch, "")
		if kinds := r.kindsOfSink(&s, keys, files); len(kinds) > 1 {
			r.report(item.position, "a sink has exactly one kind, but this one has %s: split it into one sink of each", strings.Join(kinds, " and "))
		} else if len(kinds) == 0 && clear {
			r.report(item.position, "a sink needs a kind: webhook, kafka, nats or file")
		}
		list = append(list, s)
	}
	return list
}

// kindsOfSink reads what a sink is; it is to be one thing.
func (r *reader) kindsOfSink(s *onramp.Sink, keys map[string]value, files map[string]position) (kinds []string) {
	for _, kind := range []string{"webhook", "kafka", "nats", "file"} {
		if keys[kind].node == nil { // as in step
			continue
		}
		kinds = append(kinds, kind)
		switch kind {
		case "webhook":
			s.Webhook = r.webhook(keys[kind])
		case "kafka":
			s.Kafka = r.kafka(keys[kind])
		case "nats":
			s.NATS = r.nats(keys[kind])
		case "file":
			s.File = r.file(keys[kind], files)
		}
	}
	return kinds
}

func (r *reader) webhook(v value) *onramp.Webhook {
	keys, ok := r.mapping(v, setting.Webhook().Names()...)
	if !ok {
		return nil
	}
	w := &onramp.Webhook{URL: r.needed(keys["url"], "set it to the http or https URL that receives the events")}
	if u, ok := onramp.ParseWebURL(w.URL); w.URL != "" {
		switch {
		case !ok || u.Fragment != "":
			r.report(keys["url"].position, "must be an absolute http or https URL, such as https://crm.example.com/events")
		case u.User != nil:
			r.report(keys["url"].position, "must not contain a user or a password: send them in a header, such as headers: { Authorization: … }")
		}
	}
	w.Secrets = r.secrets(keys, "secret", "is missing: onramp keys new webhook creates one", webhookSecret)
	w.Headers = r.headers(keys["headers"])
	return w
}

func webhookSecret(s string) string {
	if _, ok := onramp.ParseWebhookSecret(onramp.Secret(s)); !ok {
		return "must be whsec_ followed by 24 to 64 bytes in base64; onramp keys new webhook creates one"
	}
	return ""
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// headers reads what is sent along with a webhook.
func (r *reader) headers(v value) map[string]onramp.Secret {
	entries, _ := r.entries(v)
	if len(entries) == 0 {
		return nil
	}
	headers := make(map[string]onramp.Secret, len(entries))
	lines := map[string]int{}
	for _, e := range entries {
		if !headerName.MatchString(e.name) {
			// not repeated, as in mapping
			r.report(position{e.line, v.path}, "a header name can contain only letters, digits, - and _; is a colon, or the space after it, missing?")
			continue
		}
		lower := strings.ToLower(e.name)
		s, ok := r.scalar(e)
		switch first, twice := lines[lower]; {
		case twice:
			r.report(e.position, "is set twice, first on line %d", first)
		case slices.Contains([]string{"webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-length", "host"}, lower):
			r.report(e.position, "is set by Onramp itself: remove it")
		case !e.isSet() || ok && s.text == "":
			r.report(e.position, "is empty: set a value or remove the header")
		case strings.ContainsFunc(s.text, unicode.IsControl):
			r.report(s.position, "must not contain control characters")
		}
		lines[lower] = e.line
		headers[e.name] = onramp.Secret(s.text)
	}
	return headers
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func (r *reader) kafka(v value) *onramp.Kafka {
	keys, ok := r.mapping(v, setting.Kafka().Names()...)
	if !ok {
		return nil
	}
	k := &onramp.Kafka{
		Brokers: r.brokers(keys["brokers"]),
		Topic:   r.needed(keys["topic"], "set it to the topic that receives the events"),
		CAFile:  r.text(keys["ca_file"]),
	}
	before := len(r.problems)
	if k.TLS = r.boolean(keys["tls"], false); k.CAFile != "" && !k.TLS && len(r.problems) == before {
		r.report(keys["ca_file"].position, "has no effect without tls: true; remove it")
	}
	if k.Topic != "" && (len(k.Topic) > 249 || !topicName.MatchString(k.Topic) || k.Topic == "." || k.Topic == "..") {
		r.report(keys["topic"].position, "can contain only letters, digits, ., _ and -, at most 249 characters")
	}
	r.sasl(k, keys)
	return k
}

// sasl reads how Onramp proves itself to a Kafka broker.
func (r *reader) sasl(k *onramp.Kafka, keys map[string]value) {
	before := len(r.problems)
	if s, ok := r.scalar(keys["sasl"]); ok && s.text != "" {
		if err := s.oneOf("plain", "scram-sha-256", "scram-sha-512"); err != nil {
			r.report(s.position, "%v", err)
		}
		k.SASL = s.text
	}
	k.User, k.Password = r.text(keys["user"]), onramp.Secret(r.text(keys["password"]))
	if len(r.problems) > before {
		return
	}
	for _, given := range []struct {
		key  string
		text string
	}{{"user", k.User}, {"password", k.Password.Reveal()}} {
		switch {
		case k.SASL == "" && given.text != "":
			r.report(keys[given.key].position, "has no effect without sasl; remove it, or add sasl: scram-sha-256, scram-sha-512 or plain")
		case k.SASL != "" && given.text == "":
			r.report(keys[given.key].position, "is missing: sasl: %s needs it", k.SASL)
		}
	}
}

// brokers reads the addresses of a Kafka cluster.
func (r *reader) brokers(v value) []string {
	before := len(r.problems)
	list := r.unique(r.texts(v), func(s scalar) string {
		host, port, err := net.SplitHostPort(s.text)
		n, portErr := strconv.ParseUint(port, 10, 16)
		if err != nil || portErr != nil || n == 0 || host == "" || strings.ContainsAny(host, " /@") {
			return s.quoted() + " must be host:port, such as kafka.example.com:9093"
		}
		return ""
	})
	if len(list) == 0 && len(r.problems) == before {
		r.report(v.position, "is missing: list at least one broker, such as kafka.example.com:9093")
	}
	return list
}

func (r *reader) nats(v value) *onramp.NATS {
	keys, ok := r.mapping(v, setting.NATS().Names()...)
	if !ok {
		return nil
	}
	before := len(r.problems)
	n := &onramp.NATS{
		URLs:            r.natsURLs(keys["url"], keys["urls"]),
		Subject:         r.needed(keys["subject"], "set it to a subject of a stream, such as sfmc.{type}"),
		CredentialsFile: r.text(keys["credentials_file"]),
		User:            r.text(keys["user"]),
		Password:        onramp.Secret(r.text(keys["password"])),
		Token:           onramp.Secret(r.text(keys["token"])),
		CAFile:          r.text(keys["ca_file"]),
	}
	if n.Subject != "" && !onramp.ValidSubject(n.Subject) {
		r.report(keys["subject"].position, "must be a subject without wildcards and a leading $, such as sfmc.events, or sfmc.{type} with the event's type in it")
	}
	if len(r.problems) == before {
		r.natsLogin(n, v.position)
	}
	return n
}

// natsLogin checks how Onramp proves itself to a NATS server.
func (r *reader) natsLogin(n *onramp.NATS, at position) {
	var ways []string
	for _, way := range []struct {
		key  string
		used bool
	}{{"credentials_file", n.CredentialsFile != ""}, {"user", n.User != "" || n.Password != ""}, {"token", n.Token != ""}} {
		if way.used {
			ways = append(ways, way.key)
		}
	}
	if len(ways) > 1 {
		r.report(at, "has %s: use only one of them to log in", strings.Join(ways, " and "))
	}
	if (n.User == "") != (n.Password == "") {
		r.report(at, "has only one of user and password: set both or neither")
	}
}

// natsURLs reads one URL or several.
func (r *reader) natsURLs(one, several value) []string {
	if one.isSet() && several.isSet() {
		r.report(several.position, "url and urls can't both be set: remove one")
	}
	before := len(r.problems)
	given := r.texts(several)
	if s, ok := r.scalar(one); ok {
		given = []scalar{s}
	}
	list := r.unique(given, func(s scalar) string {
		u, err := url.Parse(s.text)
		switch {
		case err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "":
			// not quoted: it may hold a password
			return "must be a nats:// or tls:// URL, such as nats://nats.example.com:4222"
		case u.User != nil:
			return "must not contain a user, a password or a token: use the keys user, password and token"
		}
		return ""
	})
	if len(list) == 0 && len(r.problems) == before {
		r.report(one.position, "is missing: set it to the server's URL, such as nats://nats.example.com:4222")
	}
	return list
}

func (r *reader) file(v value, files map[string]position) *onramp.File {
	keys, ok := r.mapping(v, setting.File().Names()...)
	if !ok {
		return nil
	}
	f := &onramp.File{Path: r.needed(keys["path"], "set it to the file that the events are appended to")}
	r.claim(files, keys["path"], f.Path, "sink", "file")
	return f
}
