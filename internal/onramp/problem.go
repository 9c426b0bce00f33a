package onramp

// fieldProblem is what is wrong with a value: a code for programs, which the hosted form
// says in the visitor's language, and a message for people.
type fieldProblem struct{ code, message string }

func (p *fieldProblem) Error() string { return p.message }

func problem(code, message string) error { return &fieldProblem{code, message} }
