package consent

import (
	"net/netip"
	"strings"
	"time"

	"onramp/internal/email"
	"onramp/internal/onramp"
)

// The limits, as operators read them.
const (
	LimitPersonForm = "per_person"
	LimitPerson     = "per_person_all_forms"
	LimitDomain     = "per_domain"
	LimitForm       = "per_form"
	LimitVisitor    = "per_visitor"
)

const (
	day, hour = 24 * time.Hour, time.Hour
	dayStep   = 15 * time.Minute
	hourStep  = 5 * time.Minute

	// large providers have the addresses of many: their share of a form's is no sign of an attack
	largeProvider = 10
)

// The places of the counters.
const (
	countPersonForm = iota
	countPerson
	countDomain
	countForm
	countVisitor
	counters
)

// counters are what the confirmations to an address are counted by.
func (k Keys) counters(form string, v *onramp.Visitor) []onramp.Counter {
	address := email.Fold(v.Address)
	all := make([]onramp.Counter, counters)
	all[countPersonForm] = onramp.Counter{Key: k.counter("person", form, address), Within: day, Step: dayStep}
	all[countPerson] = onramp.Counter{Key: k.counter("person", "", address), Within: day, Step: dayStep}
	all[countDomain] = onramp.Counter{Key: k.counter("domain", domainOf(address)), Within: hour, Step: hourStep}
	all[countForm] = onramp.Counter{Key: k.counter("form", form), Within: hour, Step: hourStep}
	all[countVisitor] = onramp.Counter{Key: k.counter("visitor", form, network(v.IP)), Within: hour, Step: hourStep}
	return all
}

func domainOf(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return domain
}

// network is what one visitor surely has: an IPv4 address, or the /64 of an IPv6 address.
func network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	prefix, err := a.Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.String()
}

// decide says which limit keeps a confirmation back, by how many have gone out. The second half
// of a form's is for visitors who have had none in the hour: so those who post from a few
// hundred addresses leave as much to everybody else.
func decide(l onramp.ConfirmationLimits, domain string, counts []int64) onramp.Limit {
	ofDomain := int64(l.Domain)
	if email.IsCommonDomain(domain) {
		ofDomain *= largeProvider
	}
	form := int64(l.Form)
	switch {
	case counts[countPersonForm] >= int64(l.PersonForm):
		return onramp.Limit{Name: LimitPersonForm}
	case counts[countPerson] >= int64(l.Person):
		return onramp.Limit{Name: LimitPerson}
	case counts[countDomain] >= ofDomain:
		return onramp.Limit{Name: LimitDomain, Alarms: true}
	case counts[countForm] >= form:
		return onramp.Limit{Name: LimitForm, Alarms: true}
	case counts[countForm] >= form/2 && counts[countVisitor] > 0:
		return onramp.Limit{Name: LimitVisitor, Alarms: true}
	}
	return onramp.Limit{}
}
