package onramp

import "onramp/internal/email"

// Suggestion is what somebody probably meant who filled in a field: for them to decide,
// since what they typed may be right.
type Suggestion struct {
	Field      string `json:"field"`
	Suggestion string `json:"suggestion"`
}

// Suggest gives what is probably meant by the addresses of a submission that look like
// slips; nil when none does.
func (f *Form) Suggest(inputs []Input) []Suggestion {
	var all []Suggestion
	for i := range f.Fields {
		field := &f.Fields[i]
		if field.Type != Email || field.From != Submitted {
			continue
		}
		for _, in := range inputs {
			if in.Name != field.Name || email.IsUsual(in.Value.Text) {
				continue
			}
			if value, err := field.Parse(in.Value); err == nil {
				if meant := email.Suggest(value.Text); meant != "" {
					all = append(all, Suggestion{field.Name, meant})
				}
			}
		}
	}
	return all
}
