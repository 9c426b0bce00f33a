package metadata

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"onramp/internal/sandbox/account"
	"onramp/internal/sandbox/wire"
)

// journeyRoutes are the routes of journeys, which the vendor calls interactions.
func journeyRoutes() []operation {
	const path = "/interaction/v1/interactions"
	return []operation{
		{"GET", path, readJourneys, listJourneys},
		{"POST", path, readJourneys, createJourney},
		{"GET", path + "/{id}", readJourneys, getJourney},
		{"GET", path + "/status/{id}", readJourneys, journeyStatus},
		{"GET", path + "/publishStatus/{statusId}", readJourneys, publishStatus},
		{"POST", path + "/publishAsync/{id}", readJourneys, change(publish)},
		{"POST", path + "/pause/{id}", readJourneys, change(pause)},
		{"POST", path + "/resume/{id}", readJourneys, change(resume)},
		{"POST", path + "/stop/{id}", readJourneys, change(stop)},
	}
}

const (
	// journeysPage is how many journeys are on a page, whatever is asked for. Known from a
	// tenant.
	journeysPage = 50
	// publishTime is how long publishing takes. Undocumented: the vendor needs longer.
	publishTime = 300 * time.Millisecond
)

// listJourneys answers GET /interaction/v1/interactions. Known from a tenant: it has the
// newest version of each, and ignores $pageSize and $filter.
func listJourneys(c *call) (wire.Answer, error) {
	status := c.Query("status")
	var found []*account.Journey
	for _, j := range c.unit.Interactions() {
		if status == "" || strings.EqualFold(j.Status, status) {
			found = append(found, j)
		}
	}
	return paged(c, found, journeysPage, c.viewJourney)
}

// interaction finds a journey by key:KEY or by its GUID, in any case, or returns nil.
func interaction(u *account.Unit, ref string) *account.Journey {
	key, byKey := strings.CutPrefix(ref, "key:")
	for _, j := range u.Interactions() {
		if byKey && j.Key == key || !byKey && strings.EqualFold(j.ID, ref) {
			return j
		}
	}
	return nil
}

// journey is the journey that a path names, by key:KEY or by its GUID. Undocumented: the
// words for one that there is not.
func (c *call) journey() (*account.Journey, error) {
	ref := c.Param("id")
	j := interaction(c.unit, ref)
	if j == nil {
		return nil, wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "Interaction not found: %s", ref)
	}
	return j, nil
}

// getJourney answers GET /interaction/v1/interactions/{id}.
func getJourney(c *call) (wire.Answer, error) {
	j, err := c.journey()
	if err != nil {
		return wire.Answer{}, err
	}
	return wire.JSON(http.StatusOK, c.viewJourney(j)), nil
}

// viewJourney is a journey as recorded answers have it: its activities if extras ask for
// them, of which the sandbox has none.
func (c *call) viewJourney(j *account.Journey) any {
	published := time.Time{}
	if j.TakesEvents() {
		published = j.Modified
	}
	v := map[string]any{
		"id": j.ID, "key": j.Key, "name": j.Name, "description": j.Description, "lastPublishedDate": shown(published),
		"version": j.Version, "workflowApiVersion": 1, "createdDate": shown(j.Created), "modifiedDate": shown(j.Modified),
		"triggers": viewTriggers(j), "goals": []any{}, "exits": []any{}, "notifiers": []any{},
		"stats":     map[string]any{"currentPopulation": len(j.Entries), "cumulativePopulation": len(j.Entries), "metGoal": 0, "metExitCriteria": 0, "goalPerformance": 0},
		"entryMode": "MultipleEntries", "definitionType": "Multistep", "channel": "", "defaults": map[string]any{"properties": map[string]any{}},
		"metaData": map[string]any{}, "executionMode": "Production", "categoryId": c.unit.RootID("journey"), "status": j.Status, "definitionId": j.ID, "scheduledStatus": "Draft",
	}
	if extras := c.Query("extras"); extras == "all" || extras == "activities" {
		v["activities"] = []any{}
	}
	return v
}

// viewTriggers is what starts a journey.
func viewTriggers(j *account.Journey) []any {
	if j.EventKey == "" {
		return []any{}
	}
	return []any{map[string]any{
		"id": wire.NewGUID(), "key": "TRIGGER", "name": "TRIGGER", "description": "", "type": "APIEvent",
		"outcomes": []any{}, "arguments": map[string]any{}, "configurationArguments": map[string]any{},
		"metaData": map[string]any{
			"eventDefinitionId": j.EventID, "eventDefinitionKey": j.EventKey, "chainType": "none",
			"configurationRequired": false, "title": "", "iconUrl": "/images/icon_journeyBuilder-event-api-blue.svg",
		},
	}}
}

// version reads which version a call is about: all says that it is about all of them. It
// is not ok when the call does not say so.
func (c *call) version() (number int, all, ok bool) {
	if strings.EqualFold(c.Query("allVersions"), "true") {
		return 0, true, true
	}
	number, err := strconv.Atoi(c.Query("versionNumber"))
	return number, false, err == nil
}

// needsVersion are the vendor's words, but for a full stop that its documents have.
const needsVersion = "AllVersions=true or VersionNumber required"

// journeyStatus answers GET /interaction/v1/interactions/status/key:{key}. Known from a
// tenant: the words without a parameter, and that an unknown version is an empty list.
// Undocumented: their errorcode, which is that of the route that pauses.
func journeyStatus(c *call) (wire.Answer, error) {
	j, err := c.journey()
	if err != nil {
		return wire.Answer{}, err
	}
	number, all, ok := c.version()
	if !ok {
		return wire.Answer{}, wire.Failuref(http.StatusBadRequest, wire.CodeInvalidValue, needsVersion)
	}
	list := []any{}
	if all || number == j.Version {
		list = append(list, map[string]any{"id": j.ID, "status": j.Status, "versionNumber": j.Version})
	}
	return wire.JSON(http.StatusOK, list), nil
}

// sentJourney is the body of a call that makes a journey. What else there is in it
// (activities, goals) has no effect.
type sentJourney struct {
	Key, Name, Description *string
	WorkflowAPIVersion     any
	Triggers               []struct {
		MetaData struct{ EventDefinitionID, EventDefinitionKey string }
	}
}

// createJourney answers POST /interaction/v1/interactions with 201 and a draft.
// Undocumented: the words of all refusals. Of several triggers the first counts; the sandbox
// has one journey for each event definition.
func createJourney(c *call) (wire.Answer, error) {
	var sent sentJourney
	if err := wire.DecodeObject(c.Body, &sent); err != nil {
		return wire.Answer{}, err
	}
	key := text(sent.Key, wire.NewGUID())
	switch {
	case text(sent.Name, "") == "":
		return wire.Answer{}, missing("name")
	case sent.WorkflowAPIVersion == nil:
		return wire.Answer{}, missing("workflowApiVersion")
	case interaction(c.unit, "key:"+key) != nil:
		return wire.Answer{}, taken("A journey with the key %s already exists.", key)
	}
	event, err := sent.event(c.unit)
	if err != nil {
		return wire.Answer{}, err
	}
	j := c.unit.AddInteraction(event, key, *sent.Name, c.now)
	j.Description = text(sent.Description, "")
	return wire.JSON(http.StatusCreated, c.viewJourney(j)), nil
}

// event is the event definition that starts a new journey; nil when the journey has none.
func (s *sentJourney) event(u *account.Unit) (*account.Journey, error) {
	if len(s.Triggers) == 0 {
		return nil, nil
	}
	named := s.Triggers[0].MetaData
	if named.EventDefinitionKey == "" && named.EventDefinitionID == "" {
		return nil, nil
	}
	event := u.Journeys[named.EventDefinitionKey]
	if event == nil {
		event = u.JourneyByEventID(named.EventDefinitionID)
	}
	if event == nil {
		return nil, invalid("eventDefinitionKey", "is not the key of an event definition")
	}
	if event.Status != account.NoJourney {
		return nil, taken("A journey of the event definition %s already exists; the sandbox has one for each.", event.EventKey)
	}
	return event, nil
}

// change is the handler of a route that does something with the journey of its path.
func change(do func(*call, *account.Journey) (wire.Answer, error)) func(*call) (wire.Answer, error) {
	return func(c *call) (wire.Answer, error) {
		j, err := c.journey()
		if err != nil {
			return wire.Answer{}, err
		}
		return do(c, j)
	}
}

// publish answers …/publishAsync/{id}?versionNumber=N: the journey runs a moment later.
// Undocumented: the words without a version.
func publish(c *call, j *account.Journey) (wire.Answer, error) {
	number, _, ok := c.version()
	if !ok {
		return wire.Answer{}, missing("versionNumber")
	}
	if number != j.Version {
		return wire.Answer{}, wire.Failuref(http.StatusNotFound, wire.CodeNotFound, "Interaction not found: version %d", number)
	}
	j.Publication = wire.NewGUID()
	if publishProblem(j) == "" {
		c.unit.Later(c.now.Add(publishTime), func() {
			if j.Status == account.Draft {
				j.Status, j.Modified = account.Published, c.now.Add(publishTime)
			}
		})
	}
	return wire.JSON(http.StatusAccepted, map[string]any{
		"statusUrl": "/interaction/v1/interactions/publishStatus/" + j.Publication, "statusId": j.Publication,
	}), nil
}

// publishProblem is why a journey can't be published.
func publishProblem(j *account.Journey) string {
	switch {
	case j.EventKey == "":
		return "The journey has no entry source."
	case j.Status == account.Stopped:
		return "The journey is stopped."
	}
	return ""
}

// publishStatus answers GET …/publishStatus/{statusId}. The shape is that of recorded
// answers; undocumented: the errors of journeys that lack something.
func publishStatus(c *call) (wire.Answer, error) {
	id := c.Param("statusId")
	for _, j := range c.unit.Interactions() {
		if id == "" || j.Publication != id {
			continue
		}
		status, errors := "PublishCompleted", []any{}
		if problem := publishProblem(j); problem != "" {
			status = "Error"
			errors = append(errors, map[string]any{"errorDetail": problem, "errorCode": "121000", "errorType": "Error", "additionalInfo": map[string]any{}})
		} else if j.Status == account.Draft {
			status = "PublishInProcess"
		}
		return wire.JSON(http.StatusOK, map[string]any{"status": status, "errors": errors, "warnings": []any{}}), nil
	}
	return wire.Answer{}, wire.Failure(http.StatusNotFound, wire.CodeNotFound)
}

// move changes the state of a journey, if it is in one of the states that it can come
// from. Known of the routes that pause and resume: also what is wrong is told with 202.
// Undocumented: the words for a journey in another state.
func move(c *call, j *account.Journey, to string, from ...string) (refused *wire.Error) {
	number, all, ok := c.version()
	switch {
	case !ok:
		return wire.Failuref(http.StatusAccepted, wire.CodeInvalidValue, needsVersion+".")
	case !all && number != j.Version:
		return wire.Failuref(http.StatusAccepted, wire.CodeGeneric, "The journey has no version %d.", number)
	}
	for _, state := range from {
		if j.Status == state {
			j.Status, j.Modified = to, c.now
			return nil
		}
	}
	return wire.Failuref(http.StatusAccepted, wire.CodeGeneric, "The journey is %s.", j.Status)
}

func pause(c *call, j *account.Journey) (wire.Answer, error) {
	return moved(move(c, j, account.Paused, account.Published))
}

func resume(c *call, j *account.Journey) (wire.Answer, error) {
	return moved(move(c, j, account.Published, account.Paused))
}

func moved(refused *wire.Error) (wire.Answer, error) {
	if refused != nil {
		return wire.Answer{}, refused
	}
	return wire.JSON(http.StatusAccepted, map[string]any{"status": "Accepted"}), nil
}

// stop answers …/stop/{id} with the words of a recorded answer. Undocumented: the status,
// and that of a journey which does not run.
func stop(c *call, j *account.Journey) (wire.Answer, error) {
	if refused := move(c, j, account.Stopped, account.Published, account.Paused); refused != nil {
		refused.Status = http.StatusBadRequest
		return wire.Answer{}, refused
	}
	return wire.JSON(http.StatusOK, map[string]any{"message": "Journey stopped successfully"}), nil
}
