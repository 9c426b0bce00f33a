package onramp

import "strings"

// find gives the field that an input is for: by its name, or by name[] or name[0], as PHP
// and others write what may come several times.
func (f *Form) find(name string) (at int, known bool) {
	if at, known = f.byName[name]; known || !strings.HasSuffix(name, "]") {
		return at, known
	}
	bracket := strings.LastIndexByte(name, '[')
	if bracket < 0 {
		return 0, false
	}
	if index := name[bracket+1 : len(name)-1]; index != "" && !isDigits(index) {
		return 0, false
	}
	at, known = f.byName[name[:bracket]]
	return at, known
}

// DropUnknown takes out what is no field, if the form ignores it, and names it. Unless
// the form says otherwise, that is so for a form post: browsers and frameworks send much
// along that nobody has asked for, such as buttons and tokens.
func (f *Form) DropUnknown(inputs []Input, formPost bool) (known []Input, dropped []string) {
	ignore := formPost
	if f.IgnoreUnknown != nil {
		ignore = *f.IgnoreUnknown
	}
	if !ignore {
		return inputs, nil
	}
	known = inputs[:0]
	for _, in := range inputs {
		_, isField := f.find(in.Name)
		_, tells := f.tellsOfPage(in.Name)
		if isField || tells {
			known = append(known, in)
		} else {
			dropped = append(dropped, in.Name)
		}
	}
	return known, dropped
}
