// Command generate writes the metadata of package phone: what it needs of that of
// libphonenumber, so that the program is spared the rest of it.
package main

import (
	"fmt"
	"log"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

func main() {
	log.SetFlags(0)
	text, err := generate()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text)
}

func generate() (string, error) {
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return "", fmt.Errorf("read metadata: %w", err)
	}
	var lines []string
	for _, m := range all.GetMetadata() {
		main := ""
		if phonenumbers.GetRegionCodeForCountryCode(int(m.GetCountryCode())) == m.GetId() {
			main = "main"
		}
		general := m.GetGeneralDesc()
		lengths := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(general.GetPossibleLength())), ","), "[]")
		lines = append(lines, strings.Join([]string{
			m.GetId(), fmt.Sprint(m.GetCountryCode()), main, m.GetInternationalPrefix(), m.GetNationalPrefix(),
			m.GetNationalPrefixForParsing(), m.GetNationalPrefixTransformRule(), lengths, general.GetNationalNumberPattern(),
		}, "\t")+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, ""), nil
}
