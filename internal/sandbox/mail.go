package sandbox

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/ens"
	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// welcomeDefinitionID is the id of the one message definition.
const welcomeDefinitionID = "7e3c1a52-94d8-4f06-8b1e-0f5100000003"

// maxSearched is how many of the newest messages, and entries of each journey,
// are looked through for a mail.
const maxSearched = 100_000

// mail is the mail of a message, the batch-th that was sent.
func (m message) mail(batch int) ens.Mail {
	return ens.Mail{
		DefinitionKey: m.definition, DefinitionID: welcomeDefinitionID, To: m.to, ContactKey: m.contactKey, MessageKey: m.key,
		Job: jobOf("message " + m.definition), Batch: batch, At: m.at, Member: memberNumber,
	}
}

// mail is the mail that a journey sends to the contact of an entry, the batch-th
// of the journey, with the message key that belongs to the entry. There is none
// when no address is known: no column of the type EmailAddress has a value, and
// the contact key is no address.
func (j *journey) mail(e entry, batch int) (ens.Mail, bool) {
	to := ""
	for i := range j.extension.Columns {
		if j.extension.Columns[i].Type == table.TypeEmail && to == "" {
			to = e.data.Cell(i).Text
		}
	}
	if to == "" && table.ValidEmail(e.contactKey) {
		to = e.contactKey
	}
	return ens.Mail{
		DefinitionKey: WelcomeMessageKey, DefinitionID: welcomeDefinitionID, To: to, ContactKey: e.contactKey,
		MessageKey: e.id.Other().String(), Job: jobOf("journey " + j.eventKey), Batch: batch, At: e.at, Member: memberNumber,
	}, to != ""
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
	for _, j := range s.world.journeys {
		for i := len(j.entries) - 1; i >= max(0, len(j.entries)-maxSearched) && (!ok || j.entries[i].at.After(found.At)); i-- {
			if m, known := j.mail(j.entries[i], i+1); known && fits(m) {
				found, ok = m, true
				break
			}
		}
	}
	return found, ok
}

// makeUpMail makes up the n-th mail that was never sent, for a trigger.
func makeUpMail(t Trigger, n int, now time.Time) ens.Mail {
	m := ens.Mail{
		DefinitionKey: WelcomeMessageKey, DefinitionID: welcomeDefinitionID, To: t.To, ContactKey: t.ContactKey, MessageKey: t.MessageKey,
		Job: jobOf("made up"), Batch: n, At: now, Member: memberNumber,
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
