package email

import (
	"strings"

	"onramp/internal/spelling"
)

// domains are those of large providers. What is in the list is right; what is one slip
// away from it is probably wrong.
var domains = strings.Fields(`
gmail.com googlemail.com hotmail.com outlook.com yahoo.com icloud.com live.com msn.com aol.com me.com mac.com ymail.com
rocketmail.com mail.com email.com gmx.com proton.me protonmail.com pm.me fastmail.com fastmail.fm zoho.com hey.com duck.com
tutanota.com tuta.io mailbox.org posteo.de yandex.com
comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net earthlink.net juno.com optonline.net rogers.com
shaw.ca sympatico.ca telus.net videotron.ca yahoo.ca hotmail.ca live.ca bigpond.com bigpond.net.au optusnet.com.au yahoo.com.au
outlook.com.au hotmail.com.au xtra.co.nz
hotmail.co.uk yahoo.co.uk live.co.uk outlook.co.uk btinternet.com sky.com virginmedia.com talktalk.net ntlworld.com blueyonder.co.uk eircom.net
gmx.de gmx.net gmx.at gmx.ch web.de t-online.de freenet.de arcor.de yahoo.de hotmail.de outlook.de live.de online.de
1und1.de vodafone.de aon.at chello.at a1.net bluewin.ch hispeed.ch sunrise.ch
orange.fr wanadoo.fr free.fr laposte.net sfr.fr neuf.fr bbox.fr numericable.fr hotmail.fr yahoo.fr outlook.fr live.fr
libero.it virgilio.it alice.it tiscali.it tin.it hotmail.it yahoo.it outlook.it live.it fastwebnet.it
yahoo.es hotmail.es outlook.es telefonica.net terra.es sapo.pt hotmail.pt
ziggo.nl kpnmail.nl planet.nl home.nl hetnet.nl live.nl hotmail.nl outlook.nl casema.nl xs4all.nl upcmail.nl telenet.be skynet.be
proximus.be hotmail.be outlook.be live.be telia.com hotmail.se live.se outlook.dk hotmail.dk live.dk online.no hotmail.no
wp.pl o2.pl onet.pl onet.eu op.pl interia.pl gazeta.pl poczta.fm tlen.pl seznam.cz email.cz centrum.cz post.cz volny.cz azet.sk
freemail.hu citromail.hu abv.bg mail.ru yandex.ru rambler.ru bk.ru inbox.ru list.ru ukr.net
uol.com.br bol.com.br terra.com.br ig.com.br globo.com yahoo.com.br hotmail.com.br outlook.com.br yahoo.com.mx hotmail.com.mx
yahoo.com.ar hotmail.com.ar live.com.mx prodigy.net.mx
docomo.ne.jp ezweb.ne.jp au.com softbank.ne.jp i.softbank.jp ymobile.ne.jp yahoo.co.jp yahoo.ne.jp hotmail.co.jp outlook.jp nifty.com
qq.com foxmail.com 163.com 126.com 139.com sina.com sina.cn sohu.com aliyun.com naver.com daum.net hanmail.net nate.com
yahoo.co.in yahoo.in rediffmail.com yahoo.co.id yahoo.com.sg yahoo.com.hk yahoo.com.tw yahoo.com.ph yahoo.com.vn`)

// trait is what a slip leaves as it is: the length, or one more or less, and at least
// one of the first two letters, maybe at the other's place.
type trait struct {
	length, place int
	letter        byte
}

// isCommon holds the domains, byTrait those that may have been meant: of a short name,
// such as o2.pl, every neighbour is somebody's own.
var isCommon, byTrait = func() (map[string]bool, map[trait][]string) {
	common, byTrait := make(map[string]bool, len(domains)), map[trait][]string{}
	for _, domain := range domains {
		common[domain] = true
		if name, _, _ := strings.Cut(domain, "."); len(name) < 5 {
			continue
		}
		for place := range 2 {
			t := trait{len(domain), place, domain[place]}
			byTrait[t] = append(byTrait[t], domain)
		}
	}
	return common, byTrait
}()

// topLevels are slips that are no top-level domain, and what they stand for.
var topLevels = map[string]string{
	"con": "com", "cmo": "com", "ocm": "com", "vom": "com", "xom": "com", "cpm": "com", "comm": "com", "coom": "com", "ccom": "com", "clm": "com",
	"nte": "net", "met": "net", "nett": "net", "ner": "net", "ogr": "org", "orgg": "org", "rog": "org",
}

// IsUsual says of most addresses, as they were typed, that Suggest would say nothing of
// them. It is quick.
func IsUsual(typed string) bool {
	for i := range len(typed) {
		if typed[i] <= ' ' || typed[i] >= 0x7f || typed[i] >= 'A' && typed[i] <= 'Z' {
			return false
		}
	}
	return Suggest(typed) == ""
}

// Suggest gives the address that somebody probably meant who typed this one, which Parse
// has returned; "" when it is probably right.
func Suggest(address string) string {
	local, domain, found := strings.Cut(address, "@")
	if !found || isCommon[domain] {
		return ""
	}
	meant := domain
	if dot := strings.LastIndexByte(meant, '.'); dot >= 0 {
		if top := topLevels[meant[dot+1:]]; top != "" {
			meant = meant[:dot+1] + top
		}
	}
	if !isCommon[meant] {
		meant = closest(meant)
	}
	if meant == domain {
		return ""
	}
	return local + "@" + meant
}

// closest gives the domain that another is a slip of, or that domain itself.
func closest(domain string) string {
	if len(domain) < 2 {
		return domain
	}
	n, first, second := len(domain), domain[0], domain[1]
	for _, t := range [...]trait{
		{n, 0, first}, {n, 1, second}, {n, 0, second}, // another letter, or two that have changed places
		{n + 1, 0, first}, {n + 1, 1, first}, // one is missing
		{n - 1, 0, first}, {n - 1, 0, second}, // one is too many
	} {
		for _, known := range byTrait[t] {
			if spelling.IsSlip(domain, known) && sameCountry(domain, known) {
				return known
			}
		}
	}
	return domain
}

// sameCountry says whether domains may belong to one: a provider has domains in many
// countries, and none of them is a slip of another.
func sameCountry(a, b string) bool {
	country, other := countryOf(a), countryOf(b)
	return country == "" || other == "" || country == other
}

// countryOf is a domain's top level if that is a country's.
func countryOf(domain string) string {
	if top := domain[strings.LastIndexByte(domain, '.')+1:]; len(top) == 2 {
		return top
	}
	return ""
}

// IsCommonDomain says whether a domain, in lower case, is that of a large provider.
func IsCommonDomain(domain string) bool { return isCommon[domain] }
