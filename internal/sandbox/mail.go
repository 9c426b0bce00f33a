package sandbox

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// maxSearched is how many of the newest messages, and entries of each journey,
// are looked through for a mail.
const maxSearched = 100_000

// mail is the mail of a message, the batch-th that was sent.
func (m message) mail(batch int) ens.Mail {
	return ens.Mail{
		DefinitionKey: m.definition, DefinitionID: account.WelcomeMessageID, To: m.to, ContactKey: m.contactKey, MessageKey: m.key,
		Job: jobOf("message " + m.definition), Batch: batch, At: m.at, Member: m.member,
	}
}

// journeyMail is the mail that a journey sends to the contact of an entry, the batch-th
// of the journey, with the message key that belongs to the entry. There is none
// when no address is known: no column of the type EmailAddress has a value, and
// the contact key is no address.
func journeyMail(j *account.Journey, e account.Entry, batch int) (ens.Mail, bool) {
	to := mailTo(e)
	return ens.Mail{
		DefinitionKey: WelcomeMessageKey, DefinitionID: account.WelcomeMessageID, To: to, ContactKey: e.ContactKey,
		MessageKey: e.ID.Other().String(), Job: jobOf("journey " + j.EventKey), Batch: batch, At: e.At, Member: j.Unit.Number(),
	}, to != ""
}

// mailTo is the address of an entry; "" when none is known.
func mailTo(e account.Entry) string {
	for i := range e.Table.Columns {
		if e.Table.Columns[i].Type == table.TypeEmail {
			if to := e.Data.Cell(i).Text; to != "" {
				return to
			}
		}
	}
	if table.ValidEmail(e.ContactKey) {
		return e.ContactKey
	}
	return ""
}

// findMail finds the newest mail that fits all that a trigger names. It needs the
// sandbox's mutex.
func (s *Sandbox) findMail(t Trigger) (found ens.Mail, ok bool) {
	fits := func(m ens.Mail) bool {
		return (t.MessageKey == "" || m.MessageKey == t.MessageKey) && (t.ContactKey == "" || m.ContactKey == t.ContactKey) &&
			(t.To == "" || strings.EqualFold(m.To, t.To))
	}
	sent := s.world.messages.sent
	for i := len(sent) - 1; i >= max(0, len(sent)-maxSearched); i-- {
		if m := sent[i].mail(i + 1); fits(m) {
			found, ok = m, true
			break
		}
	}
	for _, u := range s.world.account.Units {
		for _, j := range u.Journeys {
			for i := len(j.Entries) - 1; i >= max(0, len(j.Entries)-maxSearched) && (!ok || j.Entries[i].At.After(found.At)); i-- {
				if m, known := journeyMail(j, j.Entries[i], i+1); known && fits(m) {
					found, ok = m, true
					break
				}
			}
		}
	}
	return found, ok
}

// makeUpMail makes up the n-th mail that was never sent, for a trigger.
func makeUpMail(t Trigger, n int, now time.Time) ens.Mail {
	m := ens.Mail{
		DefinitionKey: WelcomeMessageKey, DefinitionID: account.WelcomeMessageID, To: t.To, ContactKey: t.ContactKey, MessageKey: t.MessageKey,
		Job: jobOf("made up"), Batch: n, At: now, Member: account.Enterprise,
	}
	if m.MessageKey == "" {
		m.MessageKey = wire.NewGUID()
	}
	if m.ContactKey == "" {
		m.ContactKey = "nobody"
	}
	if m.To == "" && table.ValidEmail(m.ContactKey) {
		m.To = m.ContactKey
	}
	if m.To == "" {
		m.To = "nobody@example.org"
	}
	return m
}

// jobOf is the job id of what sends mails, the same in every run.
func jobOf(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return strconv.Itoa(100_000 + int(h.Sum32()%900_000))
}
