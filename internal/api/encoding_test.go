package api_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"onramp/internal/onramp"
	"onramp/internal/web/webtest"
)

// In whatever encoding a name is sent, it is stored as it was meant.
func TestEncodings(t *testing.T) {
	t.Parallel()
	const (
		jsonBody  = `{"email":"user@example.com","first_name":"Zoë","last_name":"Doe"}`
		jsonLatin = "{\"email\":\"user@example.com\",\"first_name\":\"Zo\xeb\",\"last_name\":\"Doe\"}"
		latinForm = "email=user%40example.com&first_name=Zo%EB&last_name=Doe"
		formBody  = "email=user%40example.com&first_name=Zo%C3%AB&last_name=Doe"

		asJSON  = "Content-Type: application/json"
		asForm  = "Content-Type: application/x-www-form-urlencoded"
		asParts = "Content-Type: " + partType
	)
	email, last := "Content-Disposition: form-data; name=\"email\"\r\n\r\nuser@example.com", "Content-Disposition: form-data; name=\"last_name\"\r\n\r\nDoe"
	firstName := func(header, value string) string {
		return rawParts(email, "Content-Disposition: form-data; name=\"first_name\"\r\n"+header+"\r\n\r\n"+value, last)
	}
	for name, row := range map[string]struct {
		first   string // name that is stored; "Zoë" when empty
		body    string
		headers []string
	}{
		"UTF-8":                           {"", jsonBody, []string{asJSON}},
		"JSON with a mark":                {"", "\ufeff" + jsonBody, []string{asJSON}},
		"JSON in Latin 1":                 {"", jsonLatin, []string{asJSON + "; charset=ISO-8859-1"}},
		"JSON in Windows 1252, quoted":    {"", jsonLatin, []string{asJSON + `; charset="cp1252"`}},
		"JSON in ISO 8859-15":             {"Zo€", strings.ReplaceAll(jsonLatin, "\xeb", "\xa4"), []string{asJSON + "; charset=iso-8859-15"}},
		"JSON in UTF-16":                  {"", utf16(jsonBody, false), []string{asJSON + "; charset=utf-16"}},
		"JSON in UTF-16 with a mark":      {"", utf16("\ufeff"+jsonBody, true), []string{asJSON + "; charset=utf-16"}},
		"JSON in UTF-16BE":                {"", utf16(jsonBody, true), []string{asJSON + "; charset=UTF-16BE"}},
		"UTF-8 with a mark, called Latin": {"", "\ufeff" + jsonBody, []string{asJSON + "; charset=latin1"}},
		"JSON in Shift JIS":               {"日本", strings.ReplaceAll(jsonLatin, "Zo\xeb", "\x93\xfa\x96\x7b"), []string{asJSON + "; charset=Shift_JIS"}},
		"JSON in GB 18030":                {"中文", strings.ReplaceAll(jsonLatin, "Zo\xeb", "\xd6\xd0\xce\xc4"), []string{asJSON + "; charset=gb2312"}},
		"JSON in KOI8-R":                  {"Ян", strings.ReplaceAll(jsonLatin, "Zo\xeb", "\xf1\xce"), []string{asJSON + "; charset=koi8-r"}},

		"form":                       {"", formBody, []string{asForm}},
		"form with a mark":           {"", "\ufeff" + formBody, []string{asForm}},
		"form in Latin 1":            {"", latinForm, []string{asForm + "; charset=iso-8859-1"}},
		"form in Latin 1, not coded": {"", "email=user@example.com&first_name=Zo\xeb&last_name=Doe", []string{asForm + ";charset=latin1"}},
		"form in Shift JIS":          {"日本", "email=user%40example.com&first_name=%93%FA%96{&last_name=Doe", []string{asForm + "; charset=sjis"}},
		"form in UTF-16":             {"", utf16(formBody, false), []string{asForm + "; charset=utf-16"}},
		"form that names it":         {"", latinForm + "&_charset_=windows-1252", []string{asForm}},
		"form that names it first":   {"", "_charset_=iso-8859-1&" + latinForm, []string{asForm + "; charset=utf-8"}},
		"form that does not name it": {"", formBody + "&_charset_=", []string{asForm}},
		"form that names nothing":    {"", "_charset_=%s&" + formBody, []string{asForm}},
		"lone percent signs":         {"100% %zz %", "email=user%40example.com&first_name=100%+%zz+%&last_name=Doe", []string{asForm}},
		"JSON of such a form":        {"", jsonBody[:len(jsonBody)-1] + `,"_charset_":"windows-1252"}`, []string{asJSON}},

		"part":                        {"", firstName("X: y", "Zoë"), []string{asParts}},
		"part in Latin 1":             {"", firstName("Content-Type: text/plain; charset=iso-8859-1", "Zo\xeb"), []string{asParts}},
		"part in UTF-8, rest not":     {"", firstName("Content-Type: text/plain;charset=UTF-8", "Zoë"), []string{asParts + "; charset=latin1"}},
		"parts in Latin 1":            {"", firstName("X: y", "Zo\xeb"), []string{asParts + "; charset=latin1"}},
		"parts that name it":          {"", rawParts(email, "Content-Disposition: form-data; name=\"first_name\"\r\n\r\nZo\xeb", "Content-Disposition: form-data; name=\"_charset_\"\r\n\r\nwindows-1252", last), []string{asParts}},
		"part in base64":              {"", firstName("Content-Transfer-Encoding: base64", "Wm/D\r\nqw=="), []string{asParts}},
		"part in base64, no padding":  {"", firstName("content-transfer-encoding: BASE64", "Wm/Dqw"), []string{asParts}},
		"part in base64 and Latin 1":  {"", firstName("Content-Transfer-Encoding: base64\r\nContent-Type: text/plain; charset=latin1", "Wm/r"), []string{asParts}},
		"part in quoted-printable":    {"", firstName("Content-Transfer-Encoding: quoted-printable", "Zo=C3=\r\n=AB"), []string{asParts}},
		"part in 8bit":                {"", firstName("Content-Transfer-Encoding: 8bit", "Zoë"), []string{asParts}},
		"boundary that needs quotes":  {"", strings.ReplaceAll(firstName("X: y", "Zoë"), "XX", "=_a/b"), []string{"Content-Type: multipart/form-data; boundary==_a/b; charset="}},
		"gzip":                        {"", coded("gzip", jsonBody), []string{asJSON, "Content-Encoding: gzip"}},
		"x-gzip, a form":              {"", coded("gzip", formBody), []string{asForm, "Content-Encoding: X-GZip"}},
		"deflate":                     {"", coded("deflate", jsonBody), []string{asJSON, "Content-Encoding: deflate"}},
		"bare deflate":                {"", coded("bare deflate", jsonBody), []string{asJSON, "Content-Encoding: deflate"}},
		"br":                          {"", coded("br", jsonBody), []string{asJSON, "Content-Encoding: br"}},
		"zstd":                        {"", coded("zstd", jsonBody), []string{asJSON, "Content-Encoding: zstd"}},
		"zstd, not known how long":    {"", "(\xb5/\xfd\x00X" + "\x11\x02\x00" + jsonBody, []string{asJSON, "Content-Encoding: zstd"}},
		"br, then gzip":               {"", coded("gzip", coded("br", jsonBody)), []string{asJSON, "Content-Encoding: br, gzip"}},
		"zstd, then gzip, in 2 lines": {"", coded("gzip", coded("zstd", jsonBody)), []string{asJSON, "Content-Encoding: zstd", "Content-Encoding: gzip"}},
		"identity":                    {"", jsonBody, []string{asJSON, "Content-Encoding: identity"}},
		"gzip, Latin 1 and a form":    {"", coded("gzip", latinForm), []string{asForm + "; charset=latin1", "Content-Encoding: identity, gzip"}},
		"two gzip members":            {"", coded("gzip", jsonBody[:9]) + coded("gzip", jsonBody[9:]), []string{asJSON, "Content-Encoding: gzip"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			webtest.Check(t, accepted(202, "queued"), masked(do(g, "POST", registrations, row.body, row.headers...)))
			first := row.first
			if first == "" {
				first = "Zoë"
			}
			g.checkStored(t, `{"EmailAddress":"user@example.com","FirstName":"`+first+`","LastName":"Doe","OptInStatus":false,`+
				`"RegistrationTimestamp":"2026-06-23T14:52:45Z","Source":"Website Registration","IPAddress":"192.0.2.1"}`)
		})
	}
}

// checkStored sees to it that one registration is stored, with these values.
func (g *gateway) checkStored(t *testing.T, values string) {
	t.Helper()
	stored := g.registrations(t)
	if len(stored) != 1 {
		t.Fatalf("%d registrations are stored", len(stored))
	}
	want := onramp.Registration{
		Seq: 1, ID: stored[0].ID, Form: "registration", SubscriberKey: "user@example.com", ReceivedAt: receivedAt,
		Values: json.RawMessage(values), State: onramp.RegistrationQueued,
	}
	if diff := cmp.Diff(want, stored[0]); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// What is not in its encoding is refused, and the encoding is named.
func TestWrongEncodings(t *testing.T) {
	t.Parallel()
	const (
		good    = `{"email":"a@b.co"}`
		asJSON  = "Content-Type: application/json"
		asForm  = "Content-Type: application/x-www-form-urlencoded"
		asParts = "Content-Type: " + partType
		bytesOf = "Content-Disposition: form-data; name=\"email\"\r\n"
	)
	g := newGateway(t)
	malformed := func(detail string) answer { return webtest.Problem(400, detail, "", vary) }
	noCharset := webtest.Problem(415, notCharset, "", vary)
	noCoding := webtest.Problem(415, "send the body without a content coding, or with gzip, deflate, br or zstd, and not more than two of them", "", vary, "Accept-Encoding: gzip, deflate, br, zstd")
	tooLarge := webtest.Problem(413, "the body is larger than 256 KiB", "", vary)
	blanks := strings.Repeat(" ", 256<<10)
	for name, row := range map[string]struct {
		body    string
		headers []string
		want    answer
	}{
		"not UTF-8":                    {"{\"email\":\"a@b.co\",\"first_name\":\"Zo\xeb\"}", []string{asJSON}, malformed(notUTF8)},
		"UTF-16 that says nothing":     {utf16("\ufeff"+good, false), []string{asJSON}, malformed(notUTF8)},
		"not UTF-16":                   {good + "\x00", []string{asJSON + "; charset=utf-16"}, malformed("the body is not valid utf-16le")},
		"half a pair":                  {utf16(good, true) + "\xd8\x00", []string{asJSON + "; charset=utf-16be"}, malformed("the body is not valid utf-16be")},
		"not Shift JIS":                {"{\"email\":\"\xff\xff\"}", []string{asJSON + "; charset=shift_jis"}, malformed("the body is not valid shift_jis")},
		"form, not UTF-8":              {"email=a@b.co&first_name=Zo%EB", []string{asForm}, malformed(notUTF8)},
		"form, not GBK":                {"email=a@b.co&first_name=%FF%FF", []string{asForm + "; charset=gbk"}, malformed("the body is not valid gbk")},
		"form, not what it names":      {"email=a@b.co&first_name=%FF%FF&_charset_=euc-jp", []string{asForm}, malformed("the body is not valid euc-jp")},
		"part, not UTF-8":              {rawParts(bytesOf + "\r\n\xeb"), []string{asParts}, malformed(notUTF8)},
		"part, not its charset":        {rawParts(bytesOf + "Content-Type: text/plain; charset=euc-kr\r\n\r\n\xff\xff"), []string{asParts}, malformed("the body is not valid euc-kr")},
		"part, not base64":             {rawParts(bytesOf + "Content-Transfer-Encoding: base64\r\n\r\na@b.co"), []string{asParts}, malformed("a part of the body is not valid base64")},
		"part, not quoted-printable":   {rawParts(bytesOf + "Content-Transfer-Encoding: quoted-printable\r\n\r\n=\x00"), []string{asParts}, malformed("the body is not valid multipart/form-data")},
		"part, unknown encoding":       {rawParts(bytesOf + "Content-Transfer-Encoding: uuencode\r\n\r\nx"), []string{asParts}, webtest.Problem(415, "a part's Content-Transfer-Encoding is not known; send 8bit, base64 or quoted-printable", "", vary)},
		"part, unknown charset":        {rawParts(bytesOf + "Content-Type: text/plain; charset=utf-7\r\n\r\nx"), []string{asParts}, noCharset},
		"JSON, unknown charset":        {good, []string{asJSON + "; charset=utf-7"}, noCharset},
		"form, unknown charset":        {"email=a%40b.co", []string{asForm + "; charset=x"}, noCharset},
		"charset that nobody may use":  {good, []string{asJSON + "; charset=iso-2022-kr"}, noCharset},
		"UTF-32":                       {good, []string{asJSON + "; charset=utf-32"}, noCharset},
		"compress":                     {good, []string{asJSON, "Content-Encoding: compress"}, noCoding},
		"a coding and an unknown one":  {good, []string{asJSON, "Content-Encoding: gzip, aes128gcm"}, noCoding},
		"three codings":                {coded("gzip", coded("gzip", coded("gzip", good))), []string{asJSON, "Content-Encoding: gzip, gzip, gzip"}, noCoding},
		"coding that is none":          {good, []string{asJSON, "Content-Encoding: utf-8"}, noCoding},
		"no gzip":                      {good, []string{asJSON, "Content-Encoding: gzip"}, malformed("the body is not valid gzip")},
		"gzip cut off":                 {coded("gzip", good)[:20], []string{asJSON, "Content-Encoding: gzip"}, malformed("the body is not valid gzip")},
		"gzip with a wrong sum":        {coded("gzip", good)[:36] + "\x00\x00\x00\x00\x00\x00", []string{asJSON, "Content-Encoding: gzip"}, malformed("the body is not valid gzip")},
		"gzip and more":                {coded("gzip", good) + "more", []string{asJSON, "Content-Encoding: gzip"}, malformed("the body is not valid gzip")},
		"no deflate":                   {good, []string{asJSON, "Content-Encoding: deflate"}, malformed("the body is not valid deflate")},
		"deflate of a byte":            {"x", []string{asJSON, "Content-Encoding: deflate"}, malformed("the body is not valid deflate")},
		"deflate and more":             {coded("deflate", good) + "more", []string{asJSON, "Content-Encoding: deflate"}, malformed("the body is not valid deflate")},
		"no br":                        {good, []string{asJSON, "Content-Encoding: br"}, malformed("the body is not valid br")},
		"br cut off":                   {coded("br", good)[:10], []string{asJSON, "Content-Encoding: br"}, malformed("the body is not valid br")},
		"br and more":                  {coded("br", good) + "more", []string{asJSON, "Content-Encoding: br"}, malformed("the body is not valid br")},
		"no zstd":                      {good, []string{asJSON, "Content-Encoding: zstd"}, malformed("the body is not valid zstd")},
		"zstd cut off":                 {coded("zstd", good)[:12], []string{asJSON, "Content-Encoding: zstd"}, malformed("the body is not valid zstd")},
		"gzip in which no br is":       {coded("gzip", good), []string{asJSON, "Content-Encoding: br, gzip"}, malformed("the body is not valid br")},
		"br in which no gzip is":       {coded("br", good), []string{asJSON, "Content-Encoding: br, gzip"}, malformed("the body is not valid gzip")},
		"gzip of nothing sent":         {"", []string{asJSON, "Content-Encoding: gzip"}, malformed(notJSON)},
		"gzip of nothing":              {coded("gzip", ""), []string{asJSON, "Content-Encoding: gzip"}, malformed(notJSON)},
		"gzip, one byte too much":      {coded("gzip", blanks+" "), []string{asJSON, "Content-Encoding: gzip"}, tooLarge},
		"gzip that just fits":          {coded("gzip", blanks), []string{asJSON, "Content-Encoding: gzip"}, malformed(notJSON)},
		"gzip bomb":                    {bomb("gzip"), []string{asJSON, "Content-Encoding: gzip"}, tooLarge},
		"deflate bomb":                 {bomb("deflate"), []string{asForm, "Content-Encoding: deflate"}, tooLarge},
		"br bomb":                      {bomb("br"), []string{asJSON, "Content-Encoding: br"}, tooLarge},
		"zstd bomb":                    {bomb("zstd"), []string{asJSON, "Content-Encoding: zstd"}, tooLarge},
		"zstd that wants a window":     {"(\xb5/\xfd\x00\xf8\x01\x00\x00", []string{asJSON, "Content-Encoding: zstd"}, webtest.Problem(413, "the body asks for a zstd window of more than 8 MiB; compress it with a lower level", "", vary)},
		"bomb in a bomb":               {coded("gzip", bomb("gzip")), []string{asJSON, "Content-Encoding: gzip, gzip"}, tooLarge},
		"bomb between, nothing inside": {coded("gzip", strings.Repeat(coded("gzip", ""), 20000)), []string{asJSON, "Content-Encoding: gzip, gzip"}, tooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			webtest.Check(t, row.want, do(g, "POST", registrations, row.body, row.headers...))
			g.checkNothingStored(t)
		})
	}
}

// coded applies a content coding.
func coded(coding, text string) string {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "bare deflate":
		w, _ = flate.NewWriter(&b, flate.DefaultCompression) // a level that exists
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b) // no option can be wrong
	}
	_, _ = io.WriteString(w, text) // a Buffer takes all
	_ = w.Close()
	return b.String()
}

// bomb is 32 MiB of zeros.
func bomb(coding string) string { return coded(coding, strings.Repeat("\x00", 32<<20)) }

// rawParts builds a multipart body of parts with their headers.
func rawParts(parts ...string) string {
	return "--XX\r\n" + strings.Join(parts, "\r\n--XX\r\n") + "\r\n--XX--\r\n"
}

// utf16 writes text of the basic plane.
func utf16(text string, bigEndian bool) string {
	var b strings.Builder
	for _, r := range text {
		if high, low := byte(r>>8), byte(r); bigEndian {
			b.Write([]byte{high, low})
		} else {
			b.Write([]byte{low, high})
		}
	}
	return b.String()
}
