package consent

import (
	"cmp"

	"golang.org/x/text/language"

	"onramp/internal/hosted/texts"
	"onramp/internal/mailing"
	"onramp/internal/onramp"
)

// Mail makes the email of a confirmation, in our own words or those of the form; false when
// there is nobody to ask.
func (d *Desk) Mail(form *onramp.Form, delivery *onramp.Delivery) (mailing.Mail, bool) {
	l, ok := d.Letter(form, delivery)
	tag := language.Make(l.Language)
	builtIn := texts.In(tag)
	if builtIn == nil {
		builtIn = texts.In(language.English)
	}
	text := func(key string) string {
		return texts.Fill(cmp.Or(form.Page.Texts[key].In(l.Language), builtIn[key]), "title", l.Title)
	}
	m := mailing.Mail{
		ID: delivery.ID(), To: l.To, Language: l.Language, RightLeft: texts.IsRightToLeft(tag), Link: l.ConfirmURL,
		Subject: text("mail_subject"), Text: text("mail_text"), Button: text("mail_button"), Ignore: text("mail_ignore"),
	}
	for _, in := range l.Include {
		m.Values = append(m.Values, in.Label+": "+in.Value)
	}
	return m, ok
}
