package metadata

import (
	"net/http"
	"strconv"
	"strings"

	"onramp/internal/sandbox/table"
	"onramp/internal/sandbox/wire"
)

// mailRoutes tell what became of mails.
func (s *Service) mailRoutes() []operation {
	return []operation{
		{"GET", "/messaging/v1/email/messages", "email_read", s.notSent},
		{"GET", "/messaging/v1/jobs/{id}/stats/sends", "email_read", s.jobSends},
	}
}

// notSent answers GET /messaging/v1/email/messages/?type=notSent&$pagesize=&lastEventId=
// with the messages that were not sent, after the event with that id. Undocumented: that
// ids begin at 1, and 20 are on a page unless it is asked for more.
func (s *Service) notSent(c *call) (wire.Answer, error) {
	if kind := c.Query("type"); !strings.EqualFold(kind, "notSent") {
		return wire.Answer{}, invalid("type", "must be notSent")
	}
	size, err := c.count("pageSize", 20)
	if err != nil {
		return wire.Answer{}, err
	}
	last := 0
	if text := c.Query("lastEventId"); text != "" {
		if last, err = strconv.Atoi(text); err != nil || last < 0 {
			return wire.Answer{}, invalid("lastEventId", "must be a number")
		}
	}
	list := []any{}
	for i, m := range s.host.Mails(c.unit) {
		id := i + 1
		if m.Refusal == "" || m.MessageKey == "" || id <= last {
			continue
		}
		if len(list) == size {
			break
		}
		last = id
		list = append(list, map[string]any{
			"eventCategoryType": "TransactionalSendEvents.EmailNotSent", "timestamp": table.ServerTime(m.At), "definitionKey": m.DefinitionKey,
			"eventID": id, "statusCode": 1, "statusMessage": m.Refusal,
			"info": map[string]any{"messageKey": m.MessageKey, "contactKey": m.ContactKey},
		})
	}
	return wire.JSON(http.StatusOK, map[string]any{"lastEventID": last, "messages": list, "count": len(list)}), nil
}

// sendsPage is how many recipients are on a page, whatever is asked for. Known from a
// tenant.
const sendsPage = 25

// recipientSends are the sends of a job to one recipient.
type recipientSends struct {
	SubscriberID string `json:"subscriberId"`
	Stats        []send `json:"stats"`
}

type send struct {
	ID     string `json:"id"`
	Time   string `json:"transactionTime"`
	Domain string `json:"domain"`
}

// jobSends answers GET /messaging/v1/jobs/{id}/stats/sends: the recipients of a job, by
// the job id that events have. Known from a tenant: the fields; there is no address.
// Undocumented: that a job which there is not has no recipients.
func (s *Service) jobSends(c *call) (wire.Answer, error) {
	var list []*recipientSends
	known := map[string]*recipientSends{}
	for i, m := range s.host.Mails(c.unit) {
		if m.Job != c.Param("id") || m.Refusal != "" {
			continue
		}
		r := known[m.Subscriber]
		if r == nil {
			r = &recipientSends{SubscriberID: m.Subscriber}
			known[m.Subscriber] = r
			list = append(list, r)
		}
		_, domain, _ := strings.Cut(m.To, "@")
		r.Stats = append(r.Stats, send{strconv.Itoa(i + 1), table.ServerTime(m.At), domain})
	}
	return paged(c, list, sendsPage, func(r *recipientSends) any { return r })
}
