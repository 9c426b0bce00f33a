package store

import "strings"

// insertion is an INSERT of any number of rows: as many as the dialect likes by
// one statement, then four, then one, so that three texts are prepared and not
// as many as there are group sizes.
type insertion struct {
	columns int
	sizes   [3]int // rows of each text
	texts   [3]string
}

func newInsertion(d dialect, head string, columns int, tail string) insertion {
	i := insertion{columns: columns, sizes: [3]int{d.bulk, 4, 1}}
	for n, rows := range i.sizes {
		i.texts[n] = insertText(d, head, columns, rows, tail)
	}
	return i
}

// insert adds the rows whose values stand one after the other.
func (t *tx) insert(i insertion, values []any) error {
	_, err := t.insertNew(i, values)
	return err
}

// insertNew is insert for a statement that leaves rows out which are there
// already; it returns how many it has added.
func (t *tx) insertNew(i insertion, values []any) (added int64, err error) {
	for size, rows := range i.sizes {
		for n := rows * i.columns; len(values) >= n && n > 0; values = values[n:] {
			more, err := t.update(i.texts[size], values[:n]...)
			if err != nil {
				return 0, err
			}
			added += more
		}
	}
	return added, nil
}

func insertText(d dialect, head string, columns, rows int, tail string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := range rows * columns {
		switch {
		case i == 0:
			b.WriteString(" VALUES (")
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString(d.placeholder(i + 1))
	}
	b.WriteString(") ")
	b.WriteString(tail)
	return b.String()
}
