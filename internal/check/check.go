// Package check tries what a configuration names: the account in Marketing Cloud with
// its data extensions, events and messages, the Event Notification Service, the
// systems that events go on to, and what the gateway needs on its own machine. It says
// what is wrong, whose turn it is, and what puts it right.
//
// [New] is where to begin, then [Checks.Run]. The package only reads, unless a probe row
// is asked for. No finding holds a secret or personal data.
package check

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Level is how a check came out.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning" // it works, but not for everybody or not for ever
	Failure Level = "failure" // registrations or events are lost or held up
)

// rank orders the levels.
func (l Level) rank() int { return slices.Index([]Level{OK, Warning, Failure}, l) }

// Status is the exit status that stands for a level: 0, 1 or 2.
func (l Level) Status() int { return l.rank() }

// Who is whose turn it is.
type Who string

// Those whose turn it can be.
const (
	Admin     Who = "admin"     // of the account in Marketing Cloud
	Developer Who = "developer" // of the website
	Operator  Who = "operator"  // of the gateway
)

// Finding is what a check has found about one thing. Nothing in it is null in JSON.
type Finding struct {
	Name    string `json:"name"`    // of the check
	Object  string `json:"object"`  // such as the key of a data extension; "" where there is only one
	Level   Level  `json:"level"`   //
	Message string `json:"message"` // what was found, in one line
	Who     Who    `json:"who"`     // whose turn it is; "" when there is nothing to do
	Mend    string `json:"mend"`    // what to do, in one line; "" likewise
	Menu    string `json:"menu"`    // where in Marketing Cloud; "" when it is not there
}

// mend gives a finding what puts it right.
func (f Finding) mend(who Who, what string) Finding {
	f.Who, f.Mend = who, what
	return f
}

// at gives it the place in Marketing Cloud's menus.
func (f Finding) at(menu ...string) Finding {
	f.Menu = strings.Join(menu, " → ")
	return f
}

func ok(object, message string) Finding { return Finding{Object: object, Level: OK, Message: message} }

func warning(object, message string) Finding {
	return Finding{Object: object, Level: Warning, Message: message}
}

func failure(object, message string) Finding {
	return Finding{Object: object, Level: Failure, Message: message}
}

// Report is what all checks have found.
type Report struct {
	Level   Level     `json:"level"`   // the worst of all
	Checks  []Finding `json:"checks"`  // in the order of the checks
	Skipped []string  `json:"skipped"` // checks that could not be made, because of a failure that Checks has
}

// add counts findings in.
func (r *Report) add(found ...Finding) {
	for _, f := range found {
		if f.Level.rank() > r.Level.rank() {
			r.Level = f.Level
		}
		r.Checks = append(r.Checks, f)
	}
}

// task is one check.
type task struct {
	name  string
	after []string // checks that must have ended before
	needs []string // checks that must have ended before without a failure
	idle  bool     // the configuration has nothing to check
	// run makes the check. The name of its findings is filled in, unless they belong to
	// another check. skipped says that it could not be made.
	run func(ctx context.Context) (found []Finding, skipped bool)
}

// every makes a check of one that can always be made.
func every(run func(ctx context.Context) []Finding) func(context.Context) ([]Finding, bool) {
	return func(ctx context.Context) ([]Finding, bool) { return run(ctx), false }
}

// result is what became of a task; it may be read when ended is closed.
type result struct {
	ended   chan struct{}
	found   []Finding
	skipped bool
}

// failed says that what needs the check can't be checked either.
func (r *result) failed() bool {
	return r.skipped || slices.ContainsFunc(r.found, func(f Finding) bool { return f.Level == Failure })
}

// runAll makes the checks side by side, each as soon as those before it have ended and
// with its own time limit.
func runAll(ctx context.Context, tasks []task, limit time.Duration) map[string]*result {
	results := make(map[string]*result, len(tasks))
	for i := range tasks {
		results[tasks[i].name] = &result{ended: make(chan struct{})}
	}
	var all sync.WaitGroup
	for i := range tasks {
		all.Go(func() { tasks[i].await(ctx, results, limit) })
	}
	all.Wait()
	return results
}

// await makes a check when its time has come.
func (t *task) await(ctx context.Context, results map[string]*result, limit time.Duration) {
	mine := results[t.name]
	defer close(mine.ended)
	for _, before := range slices.Concat(t.after, t.needs) {
		<-results[before].ended
	}
	if t.idle {
		return
	}
	if slices.ContainsFunc(t.needs, func(name string) bool { return results[name].failed() }) {
		mine.skipped = true
		return
	}
	ctx, end := context.WithTimeout(ctx, limit)
	defer end()
	mine.found, mine.skipped = t.run(ctx)
	for i := range mine.found {
		if mine.found[i].Name == "" {
			mine.found[i].Name = t.name
		}
	}
}

// chosen are the tasks of the given names and those that have to come before them; no
// names stand for all.
func chosen(tasks []task, names []string) []task {
	if len(names) == 0 {
		return tasks
	}
	wanted := slices.Clone(names)
	for i := 0; i < len(wanted); i++ {
		at := slices.IndexFunc(tasks, func(t task) bool { return t.name == wanted[i] })
		wanted = append(wanted, slices.DeleteFunc(slices.Concat(tasks[at].after, tasks[at].needs), func(name string) bool {
			return slices.Contains(wanted, name)
		})...)
	}
	return slices.DeleteFunc(slices.Clone(tasks), func(t task) bool { return !slices.Contains(wanted, t.name) })
}

// report gathers what was found. Of checks that were made only for the sake of others it
// has the failures: those may be why the others could not be made.
func report(tasks []task, results map[string]*result, names []string) Report {
	r := Report{Level: OK, Checks: []Finding{}, Skipped: []string{}}
	for _, t := range tasks {
		asked := len(names) == 0 || slices.Contains(names, t.name)
		if asked && results[t.name].skipped {
			r.Skipped = append(r.Skipped, t.name)
		}
		for _, f := range results[t.name].found {
			if asked || f.Level == Failure || slices.Contains(names, f.Name) {
				r.add(f)
			}
		}
	}
	return r
}
