package bundle_test

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/bundle"
)

// collect makes one file of a value, with the digits of what was replaced left out.
func collect(t *testing.T, value any) string {
	t.Helper()
	files, err := bundle.Collect(t.Context(), []bundle.Source{{Name: "x", Read: func(context.Context) (any, error) { return value, nil }}})
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	return regexp.MustCompile(`#[0-9a-f]{6}`).ReplaceAllString(string(files[1].Content), "#")
}

// A text keeps the words that are known, codes and durations, and nothing else.
func TestTexts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"400 10006: Invalid data type.":                            "400 10006: Invalid data type.",
		"the column 'Zuzana' can't be read":                        "the column # can't be read",
		`the value "ana@example.org" is not valid`:                 "the value # is not valid",
		"context deadline exceeded after 30s":                      "context deadline exceeded after 30s",
		"dial tcp 10.1.2.3:443: connection refused":                "dial tcp #:#: connection refused",
		"data_extension:Zuzana_List":                               "data_extension:#",
		"call +49 170 555-0199 or 555":                             "call # # # or #",
		"postgres://user:secret@host/db?sslmode=require":           "#",
		"/home/zuzana/onramp.db is locked":                         "# is locked",
		"the request failed: Zuzana Anezka":                        "the request failed: # #",
		"an unclosed 'quote hides the rest":                        "an # #",
		"Grüße, 東京":                                                "#, #",
		"http://127.0.0.1:8080/confirm/abcdef":                     "#",
		"%7A%75zana eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ6In0.c2lnbg==": "# #",
	} {
		if got := strings.TrimSpace(collect(t, text)); got != `"`+want+`"` {
			t.Errorf("%q became %s, want %q", text, got, want)
		}
	}
}

// Names of fields and numbers are kept; keys of maps, bytes and everything else that a
// stranger may have chosen are not.
func TestValues(t *testing.T) {
	t.Parallel()
	type inner struct {
		ClientIPHeader string
		Port           uint16
	}
	got := collect(t, struct {
		inner
		Map     map[string]int64 `json:"states"`
		Bytes   []byte
		Wait    time.Duration
		At      time.Time
		Failed  error
		Plain   bundle.Plain
		Hidden  string `json:"-"`
		Nothing *int
		private string
		Call    func()
	}{
		inner{"Zuzana", 8080},
		map[string]int64{"delivered": 3, "Zuzana": 4},
		[]byte("Zuzana"), time.Minute, time.Unix(0, 0),
		errors.New("Zuzana failed"), "Zuzana", "Zuzana", nil, "Zuzana", func() {},
	})
	want := `{
  "at": "1970-01-01T00:00:00Z",
  "bytes": "6 bytes",
  "failed": "# failed",
  "plain": "Zuzana",
  "states": {
    "#": 4,
    "delivered": 3
  },
  "wait": "1m0s"
}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Metrics keep their names and numbers; the values of labels are masked.
func TestMetrics(t *testing.T) {
	t.Parallel()
	got := collect(t, bundle.Metrics(`# HELP onramp_deliveries_total Deliveries by state.
# TYPE onramp_deliveries_total counter
onramp_deliveries_total{destination="sink:zuzana",state="dead"} 3
onramp_up 1
onramp_odd{a="b} zuzana
zuzana@example.org
`))
	want := `# # onramp_deliveries_total # by state.
# # onramp_deliveries_total #
onramp_deliveries_total{destination="sink:#",state="dead"} 3
onramp_up 1
# ##
# #
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Equal texts are equal in one bundle, and have nothing in common with those of the next.
func TestDigits(t *testing.T) {
	t.Parallel()
	bundles := map[string]bool{}
	for range 3 {
		files, err := bundle.Collect(t.Context(), []bundle.Source{{Name: "x", Read: func(context.Context) (any, error) { return []string{"Zuzana", "Zuzana", "Anezka"}, nil }}})
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Fields(strings.Trim(strings.ReplaceAll(string(files[1].Content), ",", ""), "[]\n "))
		if lines[0] != lines[1] || lines[0] == lines[2] {
			t.Errorf("digits: %q", lines)
		}
		bundles[lines[0]] = true
	}
	if len(bundles) != 3 {
		t.Errorf("the digits of three bundles: %v", bundles)
	}
}

// A source that fails, or takes too long, is missing, with the masked reason; the others are there.
func TestSourcesThatFail(t *testing.T) {
	t.Parallel()
	files, err := bundle.Collect(t.Context(), []bundle.Source{
		{Name: "bad", Read: func(context.Context) (any, error) { return nil, errors.New("Zuzana refused the connection") }},
		{Name: "slow", Limit: time.Millisecond, Read: func(ctx context.Context) (any, error) { <-ctx.Done(); return nil, ctx.Err() }},
		{Name: "large", Read: func(context.Context) (any, error) { return bundle.Raw(make([]byte, 5<<20)), nil }},
		{Name: "good", What: "what is good", Read: func(context.Context) (any, error) { return 1, nil }},
	})
	if err != nil || len(files) != 2 || files[1].Name != "good" {
		t.Fatalf("%v, %v", files, err)
	}
	readme := string(files[0].Content)
	for _, want := range []string{"good                 what is good", " refused the connection\n", "slow                 context deadline exceeded", "large                it is larger than "} {
		if !strings.Contains(readme, want) || strings.Contains(readme, "Zuzana") {
			t.Errorf("no %q in\n%s", want, readme)
		}
	}
}

// The log keeps the newest lines, and requests don't push warnings out.
func TestLog(t *testing.T) {
	t.Parallel()
	kept := bundle.NewLog()
	log := slog.New(kept).With("part", "pump")
	log.Warn("the first", "n", 1)
	for n := range 1000 {
		log.Info("request", "n", n)
	}
	log.Debug("not for operators")
	var lines []bundle.Line
	for _, line := range kept.Lines() {
		lines = append(lines, line.(bundle.Line))
	}
	if len(lines) != 201 || lines[0].Message != "the first" || lines[1].Attributes["n"] != int64(800) || lines[200].Attributes["n"] != int64(999) || lines[0].Attributes["part"] != "pump" {
		t.Errorf("%d lines: %+v … %+v", len(lines), lines[:2], lines[len(lines)-1])
	}
}
