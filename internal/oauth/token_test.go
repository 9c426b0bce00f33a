package oauth_test

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"onramp/internal/oauth"
	"onramp/internal/onramp"
)

// answer is all of a response, with "JWT" in place of the token.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

var jwtForm = regexp.MustCompile(`"access_token":"[\w-]+\.[\w-]+\.[\w-]{86}"`)

func (n *node) answer(a ask) answer {
	w := n.send(a.request())
	w.Header().Del("Content-Length") // net/http sees to it that it is right
	return answer{w.Code, w.Header(), jwtForm.ReplaceAllString(w.Body.String(), `"access_token":"JWT"`)}
}

func headers(more ...string) http.Header {
	h := http.Header{
		"Content-Type": {"application/json;charset=UTF-8"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"},
	}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

func good(scope string) answer {
	return answer{200, headers(), `{"access_token":"JWT","token_type":"Bearer","expires_in":1200,"scope":"` + scope + `"}` + "\n"}
}

func bad(status int, code, description string, more ...string) answer {
	if status == http.StatusUnauthorized {
		more = append(more, "WWW-Authenticate", `Basic realm="onramp"`)
	}
	return answer{status, headers(more...), `{"error":"` + code + `","error_description":"` + description + `"}` + "\n"}
}

// row is a token request, and what a paragraph demands for it.
type row struct {
	paragraph, name string
	ask             ask
	want            answer
}

const (
	credentials = "&client_id=mc&client_secret=" + longSecret
	// the client whose id and secret need encoding, as they are in the header
	unicodeBasic = "m%C3%BC%3A1:%D0%BF%D0%B0%D1%80%D0%BE%D0%BB%D1%8C%2B%25zz+%26+more+than+twenty"

	passwordOf = "grant_type=password&username=jane&password="
)

// plain is a request in which only the header varies.
func plain(basic string) ask { return ask{basic: basic, body: plainForm} }

// form is a request of the client mc in which only the body varies.
func form(body string) ask { return ask{basic: "mc:" + longSecret, body: body} }

// labelled is a request of the client mc whose form is said to be in a charset.
func labelled(charset, body string) ask {
	return ask{header: header("Content-Type", "application/x-www-form-urlencoded; charset="+charset), basic: "mc:" + longSecret, body: body}
}

// utf16 writes Latin-1 as UTF-16, little-endian.
func utf16(latin1 string) string {
	var b strings.Builder
	for i := range len(latin1) {
		b.Write([]byte{latin1[i], 0})
	}
	return b.String()
}

var (
	scoped = good("ens admin")

	unknown      = bad(401, "invalid_client", "unknown client or wrong secret")
	anonymous    = bad(401, "invalid_client", "the client did not authenticate")
	malformed    = bad(401, "invalid_client", "the Authorization header is malformed")
	otherScheme  = bad(401, "invalid_client", "the client must authenticate with the Basic scheme or in the body")
	noSecret     = bad(401, "invalid_client", "the client's secret is missing")
	twoWays      = bad(400, "invalid_request", "the client must use only one authentication method")
	otherID      = bad(400, "invalid_request", "client_id differs from the one in the Authorization header")
	noClientID   = bad(400, "invalid_request", "client_id is missing")
	inQuery      = bad(400, "invalid_request", "parameters must be in the body, not in the query string")
	noGrant      = bad(400, "invalid_request", "grant_type is missing")
	repeated     = bad(400, "invalid_request", "a parameter is repeated")
	notForm      = bad(400, "invalid_request", "the content type must be application/x-www-form-urlencoded")
	noCharset    = bad(400, "invalid_request", "the charset is not known")
	noCoding     = bad(415, "invalid_request", "the content coding of the body is not known", "Accept-Encoding", "gzip, deflate, br, zstd")
	notUTF8      = bad(400, "invalid_request", "the body is not valid UTF-8")
	noUser       = bad(400, "invalid_request", "username is missing")
	noPassword   = bad(400, "invalid_request", "password is missing")
	large        = bad(413, "invalid_request", "the body is larger than 64 KiB")
	wrongUser    = bad(400, "invalid_grant", "unknown user or wrong password")
	otherGrant   = bad(400, "unsupported_grant_type", "grant_type must be client_credentials or password")
	unknownScope = bad(400, "invalid_scope", "the scope is malformed or contains an unknown name")
	limited      = bad(429, "slow_down", "too many failed attempts; wait before the next one", "Retry-After", "6")
)

// clientRows are RFC 6749, 2.3 and 3.2.1: how a client authenticates.
var clientRows = []row{
	{"2.3.1 ¶1", "Basic must be supported", plain("mc:" + longSecret), scoped},
	{"2.3.1 ¶1", "the scheme's name in any case (RFC 9110, 11.1)", ask{header: header("Authorization", "bAsIc "+encoded("mc:"+longSecret)), body: plainForm}, scoped},
	{"2.3.1 ¶1", "a second valid secret", plain("mc:" + otherSecret), scoped},
	{"2.3.1 ¶1", "form-encoded parts, not ASCII", plain(unicodeBasic), scoped},
	{"2.3.1 ¶1", "an id and secret form-encoded without need", plain("%6D%63:" + "%75" + longSecret[1:]), scoped},
	{"2.3.1 ¶1", "raw parts that look encoded", plain("plus+id:a%20secret+that is longer"), scoped},
	{"2.3.1 ¶1", "raw parts that look like another client's, encoded", plain("plus+id:the secret of plus+id, not so short"), scoped},
	{"2.3.1 ¶1", "raw parts that can't be decoded", plain("per%cent:50%off, but for long ones only"), scoped},
	{"2.3.1 ¶1", "one part raw and another that can't be decoded", plain("plus%2Bid:a%20secret+that is longer"), unknown},
	{"2.3.1 ¶1", "only the colons are encoded (RFC 7617, 2: none in an id), not what else looks so", plain("region%3Aeu+west:50%25off%3Aa+b, and longer"), scoped},
	{"2.3.1 ¶1", "only the colons are encoded, in lower case", plain("region%3aeu+west:50%25off%3aa+b, and longer"), scoped},
	{"2.3.1 ¶1", "only the id's colon is encoded", plain("region%3Aeu+west:50%25off:a+b, and longer"), scoped},
	{"2.3.1 ¶1", "only the id's colon is encoded, and the secret looks encoded", plain("region%3Aeu+west:a colon is %3A+and no more"), scoped},
	{"2.3.1 ¶1", "all of it is encoded", plain("region%3Aeu%2Bwest:50%2525off%3Aa%2Bb%2C+and+longer"), scoped},
	{"2.3.1 ¶1", "the id's colon is not encoded", plain("region:eu+west:50%25off:a+b, and longer"), unknown},
	{"2.3.1 ¶1", "the colons are encoded twice", plain("region%253Aeu+west:50%25off:a+b, and longer"), unknown},
	{"2.3.1 ¶1", "only the colons are encoded, of a wrong secret", plain("region%3Aeu+west:50%25off%3Aa+b"), unknown},
	{"2.3.1 ¶1", "a wrong secret", plain("mc:" + longSecret[1:]), unknown},
	{"2.3.1 ¶1", "a client that isn't known", plain("nobody:" + longSecret), unknown},
	{"2.3.1 ¶1", "the secret of another client", plain("weak:" + longSecret), unknown},
	{"2.3.1 ¶1", "a client without secret", plain("off:"), unknown},
	{"2.3.1 ¶1", "a client with an empty secret", plain("none:"), unknown},
	{"2.3.1 ¶1", "neither id nor secret", plain(":"), unknown},
	{"2.3.1 ¶3", "credentials in the body", ask{body: plainForm + credentials}, scoped},
	{"2.3.1 ¶3", "not ASCII in the body", ask{body: plainForm + "&client_id=m%C3%BC%3A1&client_secret=%D0%BF%D0%B0%D1%80%D0%BE%D0%BB%D1%8C%2B%25zz+%26+more+than+twenty"}, scoped},
	{"2.3.1 ¶3", "not ASCII in the body, and not encoded", ask{body: plainForm + "&client_id=mü%3A1&client_secret=пароль%2B%25zz+%26+more than twenty"}, scoped},
	{"2.3.1 ¶3", "a wrong secret in the body", ask{body: plainForm + credentials + "x"}, unknown},
	{"2.3.1 ¶3", "no second decoding in the body", ask{body: plainForm + "&client_id=mc&client_secret=%2575" + longSecret[1:]}, unknown},
	{"2.3.1 ¶3", "client_id is required", ask{body: plainForm + "&client_secret=" + longSecret}, noClientID},
	{"2.3.1 ¶3", "an omitted secret is an empty one, which nobody has", ask{body: plainForm + "&client_id=none"}, noSecret},
	{"2.3.1 ¶5", "never in the request URI", ask{query: "x=1&client_id=mc&client_secret=" + longSecret, body: plainForm}, inQuery},
	{"2.3.1 ¶5", "not even the id", ask{query: "client_id=mc", basic: "mc:" + longSecret, body: plainForm}, inQuery},
	{"2.3.1 ¶5", "nor with an encoded name", ask{query: "client%5Fsecret=" + longSecret, body: plainForm + "&client_id=mc"}, inQuery},
	{"2.3.1 ¶5", "nor without value", ask{query: "client_secret", basic: "mc:" + longSecret, body: plainForm}, inQuery},
	{"2.3 ¶3", "more than one method: Basic and the body", ask{basic: "mc:" + longSecret, body: plainForm + credentials}, twoWays},
	{"2.3 ¶3", "more than one method: another scheme and the body", ask{header: header("Authorization", "Bearer x"), body: plainForm + credentials}, twoWays},
	{"2.3 ¶3", "more than one method: two headers", ask{header: header("Authorization", "Basic "+encoded("mc:"+longSecret), "Authorization", "Basic "+encoded("mc:"+longSecret)), body: plainForm}, twoWays},
	{"2.3 ¶3", "an id alone is no method", ask{basic: "mc:" + longSecret, body: plainForm + "&client_id=mc&client_secret="}, scoped},
	{"2.3 ¶3", "the id in another form", ask{basic: unicodeBasic, body: plainForm + "&client_id=m%C3%BC:1"}, scoped},
	{"2.3 ¶3", "the id in another form, of which only the colon is encoded", ask{basic: "region%3Aeu+west:50%25off%3Aa+b, and longer", body: plainForm + "&client_id=region:eu%2Bwest"}, scoped},
	{"2.3 ¶3", "another id in the body", ask{basic: "mc:" + longSecret, body: plainForm + "&client_id=weak"}, otherID},
	{"2.3.2 ¶1", "a scheme that isn't registered with us", ask{header: header("Authorization", "Bearer "+longSecret), body: plainForm}, otherScheme},
	{"3.2.1 ¶1", "a client must authenticate", ask{body: plainForm}, anonymous},
	{"3.2.1 ¶1", "an empty header authenticates nobody", ask{header: header("Authorization", ""), body: plainForm}, otherScheme},
	{"3.2.1 ¶1", "Basic without credentials", ask{header: header("Authorization", "Basic"), body: plainForm}, malformed},
	{"3.2.1 ¶1", "Basic that isn't base64", ask{header: header("Authorization", "Basic mc:"+longSecret), body: plainForm}, malformed},
	{"3.2.1 ¶1", "Basic without colon", ask{header: header("Authorization", "Basic "+encoded("mc")), body: plainForm}, malformed},
}

// requestRows are RFC 6749, 3.2, 3.3 and appendix B: the request itself.
var requestRows = []row{
	{"3.2 ¶3", "a query component is retained and means nothing", ask{query: "tenant=7&%zz&x", basic: "mc:" + longSecret, body: plainForm}, scoped},
	{"3.2 ¶6", "a parameter without value is omitted", form(plainForm + "&scope=&username&password="), scoped},
	{"3.2 ¶6", "grant_type without value is omitted", form("grant_type="), noGrant},
	{"3.2 ¶6", "unknown parameters are ignored", form(plainForm + "&account_id=7&&resource=a&resource=b"), scoped},
	{"3.2 ¶6", "a parameter must not be repeated", form(plainForm + "&" + plainForm), repeated},
	{"3.2 ¶6", "not even without value", form(plainForm + "&scope=&scope=ens"), repeated},
	{"3.2 ¶6", "nor under an encoded name", form(plainForm + "&scope=ens&s%63ope=ens"), repeated},
	{"3.2 ¶6", "nor a credential", ask{body: plainForm + credentials + "&client_secret=x"}, repeated},
	{"3.3 ¶1", "scope: a name", form(plainForm + "&scope=ens"), good("ens")},
	{"3.3 ¶1", "scope: the order does not matter", form(plainForm + "&scope=admin+ens"), good("admin ens")},
	{"3.3 ¶1", "scope: a name twice", form(plainForm + "&scope=ens+ens"), good("ens")},
	{"3.3 ¶1", "scope: names are case-sensitive", form(plainForm + "&scope=ENS"), unknownScope},
	{"3.3 ¶1", "scope: one space between names", form(plainForm + "&scope=ens++admin"), unknownScope},
	{"3.3 ¶1", "scope: no other separator", form(plainForm + "&scope=ens%0Aadmin"), unknownScope},
	{"3.3 ¶3", "scope omitted: the default, named in the answer", form(plainForm), scoped},
	{"B ¶1", "the content type with its charset", ask{header: header("Content-Type", "Application/X-WWW-Form-URLEncoded; Charset=\"utf-8\""), basic: "mc:" + longSecret, body: plainForm}, scoped},
	{"B ¶1", "a careless charset", ask{header: header("Content-Type", "application/x-www-form-urlencoded; charset="), basic: "mc:" + longSecret, body: plainForm}, scoped},
	{"B ¶1", "another charset", ask{header: header("Content-Type", "application/x-www-form-urlencoded; charset=iso-8859-1"), basic: "mc:" + longSecret, body: passwordOf + "p%E4ssword+1"}, scoped},
	{"B ¶1", "an unknown charset", labelled("utf-7", plainForm), scoped},
	{"B ¶1", "an unknown charset, and what is escaped is UTF-8", labelled("x-nobody", passwordOf+"p%C3%A4ssword+1"), scoped},
	{"B ¶1", "an unknown charset, and what is escaped is not UTF-8", labelled("x-nobody", passwordOf+"p%E4ssword+1"), notUTF8},
	{"B ¶1", "an unknown charset that is not ASCII", labelled("x-nobody", passwordOf+"pässword+1"), noCharset},
	{"B ¶1", "an unknown charset of 16 bits", labelled("utf-32", utf16(plainForm)), noCharset},
	{"B ¶1", "a charset that the standard replaces", labelled("iso-2022-kr", plainForm), scoped},
	{"B ¶1", "a charset in quotes", labelled(`"ISO-8859-1"`, plainForm), scoped},
	{"B ¶1", "a charset of several bytes", labelled("shift_jis", plainForm), scoped},
	{"B ¶1", "ASCII, called UTF-16", labelled("utf-16", plainForm), scoped},
	{"B ¶1", "ASCII, called UTF-16, in the other order", labelled("UTF-16BE", passwordOf+"p%C3%A4ssword+1"), scoped},
	{"B ¶1", "UTF-16", labelled("utf-16", utf16(passwordOf+"p\xe4ssword+1")), scoped},
	{"B ¶1", "UTF-16, and not called so", labelled("us-ascii", utf16(plainForm)), noGrant},
	{"B ¶1", "a byte order mark", form("\ufeff" + plainForm), scoped},
	{"B ¶1", "gzip", ask{header: header("Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "gzip"), basic: "mc:" + longSecret, body: gzipped(plainForm)}, scoped},
	{"B ¶1", "no gzip", ask{header: header("Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "gzip"), basic: "mc:" + longSecret, body: plainForm}, bad(400, "invalid_request", "the body is not valid gzip")},
	{"B ¶1", "an unknown coding", ask{header: header("Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "compress"), basic: "mc:" + longSecret, body: plainForm}, noCoding},
	{"B ¶1", "JSON", ask{header: header("Content-Type", "application/json"), body: `{"grant_type":"client_credentials"}`}, notForm},
	{"B ¶1", "no content type", ask{header: http.Header{"Content-Type": nil}, basic: "mc:" + longSecret, body: plainForm}, notForm},
	{"B ¶1", "a content type that can't be read", ask{header: header("Content-Type", "; ;"), basic: "mc:" + longSecret, body: plainForm}, notForm},
	{"B ¶1", "no escape", form(plainForm + "&x=%f&100%"), scoped},
	{"B ¶1", "Latin-1", form(passwordOf + "p%E4ssword+1"), notUTF8},
	{"B ¶1", "Latin-1, and not encoded", form(passwordOf + "p\xe4ssword+1"), notUTF8},
	{"B ¶1", "Latin-1 in a name", form(plainForm + "&\xe4=1"), notUTF8},
	{"-", "64 KiB", form(plainForm + "&x=" + strings.Repeat("x", 64<<10-len(plainForm)-3)), scoped},
	{"-", "one more", form(plainForm + "&x=" + strings.Repeat("x", 64<<10-len(plainForm)-2)), large},
}

// grantRows are RFC 6749, 4.3 and 4.4.
var grantRows = []row{
	{"4.3.2 ¶1", "a user's password", form(passwordOf + "p%C3%A4ssword+1"), scoped},
	{"4.3.2 ¶1", "a second valid password", form(passwordOf + "pässword+2"), scoped},
	{"4.3.2 ¶1", "with a scope", form(passwordOf + "pässword+2&scope=ens"), good("ens")},
	{"4.3.2 ¶1", "username is required", form("grant_type=password&password=x"), noUser},
	{"4.3.2 ¶1", "username without value", form("grant_type=password&username=&password=x"), noUser},
	{"4.3.2 ¶1", "password is required", form("grant_type=password&username=jane"), noPassword},
	{"4.3.2 ¶1", "username and password in the query string", ask{query: "username=jane&password=p", basic: "mc:" + longSecret, body: "grant_type=password"}, inQuery},
	{"4.3.2 ¶1", "the client may authenticate in the body", ask{body: passwordOf + "pässword+1" + credentials}, scoped},
	{"4.3.2 ¶5", "the client must authenticate", ask{body: passwordOf + "pässword+1"}, anonymous},
	{"4.3.2 ¶5", "the client is authenticated before the user", ask{basic: "mc:wrong", body: passwordOf + "wrong"}, unknown},
	{"4.3.2 ¶5", "and before anything is said of parameters", ask{basic: "mc:wrong", body: "grant_type=password"}, unknown},
	{"4.3.2 ¶5", "the password must be the user's", form(passwordOf + "joe's"), wrongUser},
	{"4.3.2 ¶5", "a wrong password", form(passwordOf + "x"), wrongUser},
	{"4.3.2 ¶5", "an unknown user", form("grant_type=password&username=nobody&password=x"), wrongUser},
	{"4.3.2 ¶5", "a client is no user", form("grant_type=password&username=mc&password=" + longSecret), wrongUser},
	{"4.4.2 ¶1", "client_credentials", form(plainForm), scoped},
	{"4.4.2 ¶1", "a user named with it is ignored", form(plainForm + "&username=nobody&password=x"), scoped},
	{"4.4.2 ¶3", "the client must authenticate", ask{basic: "mc:wrong", body: plainForm}, unknown},
	{"4.5 ¶1", "an extension grant", form("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=x"), otherGrant},
}

// errorRows are RFC 6749, 5.2: each error once more, where it is defined.
var errorRows = []row{
	{"5.2 invalid_request", "a required parameter is missing", form("scope=ens"), noGrant},
	{"5.2 invalid_request", "an empty body", form(""), noGrant},
	{"5.2 invalid_request", "a parameter is repeated", form(plainForm + "&scope=ens&scope=ens"), repeated},
	{"5.2 invalid_request", "multiple credentials", ask{basic: "mc:" + longSecret, body: plainForm + credentials}, twoWays},
	{"5.2 invalid_request", "more than one mechanism", ask{basic: "weak:s3cret", body: plainForm + "&client_secret=s3cret"}, twoWays},
	{"5.2 invalid_request", "otherwise malformed", form("%ff"), notUTF8},
	{"5.2 invalid_client", "an unknown client", plain("nobody:x"), unknown},
	{"5.2 invalid_client", "no client authentication included", ask{body: plainForm}, anonymous},
	{"5.2 invalid_client", "an unsupported method", ask{header: header("Authorization", "Digest username=mc"), body: plainForm}, otherScheme},
	{"5.2 invalid_client", "401 and the scheme that the client used", plain("mc:x"), unknown},
	{"5.2 invalid_grant", "400, and no challenge", form(passwordOf + "x"), wrongUser},
	{"5.2 unsupported_grant_type", "unknown", form("grant_type=implicit"), otherGrant},
	{"5.2 unsupported_grant_type", "names are case-sensitive", form("grant_type=Client_Credentials"), otherGrant},
	{"5.2 unsupported_grant_type", "refresh tokens are not given out", form("grant_type=refresh_token&refresh_token=x"), otherGrant},
	{"5.2 invalid_scope", "unknown", form(plainForm + "&scope=all"), unknownScope},
	{"5.2 invalid_scope", "one is known", form(plainForm + "&scope=ens+all"), unknownScope},
	{"5.2 invalid_scope", "malformed", form(plainForm + "&scope=%22"), unknownScope},
}

// TestRFC6749 sends each request to a server of its own, and compares all of the
// answer.
func TestRFC6749(t *testing.T) {
	t.Parallel()
	for _, rows := range [][]row{clientRows, requestRows, grantRows, errorRows} {
		for _, row := range rows {
			t.Run(row.paragraph+" "+row.name, func(t *testing.T) {
				t.Parallel()
				n := newNode(t, oauth.Config{Scopes: []string{"ens", "admin"}}, &keeper{clients: []onramp.TokenClient{
					{ID: "plus+id", Secrets: []onramp.Secret{"a%20secret+that is longer", "the secret of plus+id, not so short"}},
					{ID: "plus id", Secrets: []onramp.Secret{"the secret of its neighbour"}},
					{ID: "region:eu+west", Secrets: []onramp.Secret{"50%25off:a+b, and longer", "a colon is %3A+and no more"}},
					{ID: "per%cent", Secrets: []onramp.Secret{"50%off, but for long ones only"}},
				}})
				if diff := cmp.Diff(row.want, n.answer(row.ask)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if text := n.log.String(); strings.Contains(text, longSecret[1:]) || strings.Contains(text, "jane") {
					t.Errorf("a secret or a user is in the log:\n%s", text)
				}
				want := oauth.Counts{Issued: 1}
				if row.want.Status != http.StatusOK {
					want = oauth.Counts{Refused: 1}
				}
				if diff := cmp.Diff(want, n.server.Counts()); diff != "" {
					t.Errorf("counts (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// RFC 6749, 5.2: the characters that error and error_description may have.
func TestErrorCharacters(t *testing.T) {
	t.Parallel()
	allowed := regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]+$`)
	for _, rows := range [][]row{clientRows, requestRows, grantRows, errorRows, {{want: limited}}} {
		for _, row := range rows {
			var body map[string]any
			if err := json.Unmarshal([]byte(row.want.Body), &body); err != nil {
				t.Fatal(err)
			}
			for name, value := range body {
				if text, isText := value.(string); isText && !allowed.MatchString(text) {
					t.Errorf("%s %s: %s %q", row.paragraph, row.name, name, text)
				}
			}
		}
	}
}

// RFC 6749, 3.2: only POST.
func TestOtherMethod(t *testing.T) {
	t.Parallel()
	n := newNode(t, oauth.Config{}, &keeper{})
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		r := form(plainForm).request()
		r.Method = method
		if w := n.send(r); w.Code != 405 || w.Header().Get("Allow") != "POST" || n.server.Counts() != (oauth.Counts{}) {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

// RFC 9068, 2: what is in a token.
func TestAccessToken(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		cfg  oauth.Config
		ask  ask
		want map[string]any
		body string
	}{
		{
			"client",
			oauth.Config{},
			form(plainForm),
			map[string]any{"iss": issuer, "sub": "mc", "client_id": "mc", "scope": "ens", "iat": 946684800.0, "exp": 946686000.0},
			good("ens").Body,
		},
		{
			"user",
			oauth.Config{Issuer: "https://on.example/base/", Lifetime: 90 * time.Second, Scopes: []string{"a<b", "ens"}},
			form(passwordOf + "pässword+1&scope=a%3Cb"),
			map[string]any{"iss": "https://on.example/base", "sub": "jane", "client_id": "mc", "scope": "a<b", "iat": 946684800.0, "exp": 946684890.0},
			`{"access_token":"JWT","token_type":"Bearer","expires_in":90,"scope":"a\u003cb"}` + "\n",
		},
		{
			"client whose id looks like another's, encoded",
			oauth.Config{},
			plain("a+b:the long secret of a+b"),
			map[string]any{"iss": issuer, "sub": "a+b", "client_id": "a+b", "scope": "ens", "iat": 946684800.0, "exp": 946686000.0},
			good("ens").Body,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := &keeper{clients: []onramp.TokenClient{
					{ID: "a+b", Secrets: []onramp.Secret{"the long secret of a+b"}}, {ID: "a b", Secrets: []onramp.Secret{"the long secret of a b"}},
				}}
				n := newNode(t, row.cfg, k)
				w := n.send(row.ask.request())
				token := tokenIn(t, w)
				if got := jwtForm.ReplaceAllString(w.Body.String(), `"access_token":"JWT"`); got != row.body {
					t.Errorf("got %s want %s", got, row.body)
				}
				want := []map[string]any{{"typ": "at+jwt", "alg": "EdDSA", "kid": k.ids()[0]}, maps.Clone(row.want)}
				want[1]["aud"] = []any{"onramp-ens"}
				got := partsOf(t, token)
				if id, _ := got[1]["jti"].(string); len(id) != 26 {
					t.Errorf("jti %q", id)
				}
				if id, _ := got[1]["grant_id"].(string); len(id) != 22 {
					t.Errorf("grant_id %q", id)
				}
				delete(got[1], "jti")
				delete(got[1], "grant_id")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// partsOf decodes a token's header and claims.
func partsOf(t testing.TB, token string) []map[string]any {
	t.Helper()
	parts := make([]map[string]any, 2)
	for i := range parts {
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &parts[i]); err != nil {
			t.Fatal(err)
		}
	}
	return parts
}

func header(namesAndValues ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(namesAndValues); i += 2 {
		h.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return h
}

func gzipped(text string) string {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // a Builder takes all
	_ = w.Close()
	return b.String()
}

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
