// Package provision makes what the forms of the configuration need in Marketing Cloud: data
// extensions with their columns, and event definitions. It compares the account with the
// configuration, plans the steps from one to the other, and takes them; each is read
// back, since Marketing Cloud is known to answer that it did what it ignored. It
// never deletes or shrinks anything or changes a type.
//
// [New] is where to begin. [Desired] is what a form needs.
package provision

import (
	"context"

	"onramp/internal/onramp"
	"onramp/internal/setup"
	"onramp/sfmc/metadata"
)

// The objects of the steps.
const (
	Folder          setup.Object = "folder"
	Extension       setup.Object = "data extension"
	Column          setup.Object = "column"
	EventDefinition setup.Object = "event definition"
	Journey         setup.Object = "journey"
)

// Config is what is needed, and where.
type Config struct {
	Account *metadata.Client
	Forms   []onramp.Form
	// Folder is the name of the folder for data extensions that are created; empty: the
	// topmost one. Those that exist stay where they are.
	Folder string
}

// Provisioner makes what the configuration needs. It keeps nothing between calls.
type Provisioner struct{ cfg Config }

// New makes a provisioner. It calls nothing.
func New(cfg Config) *Provisioner { return &Provisioner{cfg} }

// Plan is the way from the account as it is to what the forms need.
type Plan struct {
	Steps []setup.Step
	// ByHand is what remains to be done after these steps by an admin, in Marketing Cloud.
	ByHand []Task
}

// Task is something that only a person can do in Marketing Cloud.
type Task struct {
	What string   `json:"what"`
	Menu []string `json:"menu"` // the way there
}

// Plan compares the account with what the forms need, and changes nothing. It needs the
// scopes data_extensions_read and, if there are journeys, journeys_read. The error is a
// [*setup.Error], which says what to do.
func (p *Provisioner) Plan(ctx context.Context) (Plan, error) {
	made, err := p.plan(ctx)
	if err != nil {
		return Plan{}, err
	}
	return made.shown(), nil
}

// Apply takes the steps of Plan, one after the other, and reads each back. It returns those
// that it took, also with an error, and what is left to do by hand. It can be stopped
// anywhere and run again: it goes on with what is missing. The scope data_extensions_write
// is needed, too. The error is always a [*setup.Error]; it says at which step it stopped.
func (p *Provisioner) Apply(ctx context.Context) (Plan, error) {
	made, err := p.plan(ctx)
	if err != nil {
		return Plan{}, err
	}
	done := Plan{ByHand: made.byHand}
	for _, st := range made.steps {
		if st.do != nil {
			if err := st.do(ctx); err != nil {
				return done, failure(st.String(), err)
			}
		}
		done.Steps = append(done.Steps, st.Step)
	}
	return done, nil
}

// step is a step of a plan, with how to take it.
type step struct {
	setup.Step
	do func(ctx context.Context) error // nil: there is nothing to do
}

// plan is a plan while it is made and followed.
type plan struct {
	*Provisioner
	extensions []*extension
	folder     folder
	steps      []step
	byHand     []Task
}

func (p *plan) shown() Plan {
	shown := Plan{ByHand: p.byHand}
	for _, st := range p.steps {
		shown.Steps = append(shown.Steps, st.Step)
	}
	return shown
}

// plan reads the account and plans.
func (p *Provisioner) plan(ctx context.Context) (*plan, error) {
	made := &plan{Provisioner: p}
	err := made.fill(ctx)
	if err != nil {
		return nil, failure("read the account in Marketing Cloud", err)
	}
	return made, nil
}

func (p *plan) fill(ctx context.Context) error {
	events, err := p.readEvents(ctx)
	if err != nil {
		return err
	}
	if err := p.readExtensions(ctx, events); err != nil {
		return err
	}
	for _, e := range p.extensions {
		if err := p.planExtension(ctx, e); err != nil {
			return err
		}
	}
	for _, e := range events {
		p.planEvent(e)
	}
	return nil
}

func (p *plan) add(kind setup.Kind, object setup.Object, name, detail string, do func(context.Context) error) {
	p.steps = append(p.steps, step{setup.Step{Kind: kind, Object: object, Name: name, Detail: detail, Kept: do == nil}, do})
}

// keep adds a line about something that is as it should be.
func (p *plan) keep(object setup.Object, name, detail string) {
	p.add(setup.Keep, object, name, detail, nil)
}

// leave adds a line about something that is not, and that only a person may change.
func (p *plan) leave(object setup.Object, name, detail string) {
	p.add(setup.Leave, object, name, detail, nil)
}
