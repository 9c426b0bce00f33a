package metadata

import (
	"net/http"
	"strconv"

	"onramp/internal/sandbox/wire"
)

// frame is how a list without items is answered.
type frame func(c *call) (wire.Answer, error)

// vacantRoutes list what an account can have and the sandbox has none of: content,
// automations, texts, campaigns. Programs read these lists on their way to what there is,
// such as the mails that a journey's activities name. Frames: recorded answers, which
// are the same for whatever is asked for; of those that are not recorded, the list of the
// same section. Scopes: vendor page "REST API Permission IDs and Scopes"; those of legacy
// routes are undocumented.
func vacantRoutes() []operation {
	var list []operation
	add := func(answer frame, scope string, patterns ...string) {
		for _, p := range patterns {
			list = append(list, operation{"GET", p, scope, answer})
		}
	}
	add(noAssets, "documents_and_images_read", "/asset/v1/content/assets", "/asset/v1/content/categories")
	list = append(list, operation{"POST", "/asset/v1/content/assets/query", "documents_and_images_read", noAssets})
	add(
		noItems(500), "automations_read", "/automation/v1/automations", "/automation/v1/dataextracts", "/automation/v1/dataverifications",
		"/automation/v1/filetransfers", "/automation/v1/filters", "/automation/v1/imports", "/automation/v1/queries", "/automation/v1/scripts",
	)
	add(noItems(500), "file_locations_read", "/automation/v1/ftplocations")
	add(none, "automations_read", "/automation/v1/dataextracttypes")
	add(noAssets, "campaign_read", "/hub/v1/campaigns")
	add(noItems(500), "email_read", "/messaging/v1/domainverification")
	add(noDefinitions, "sms_read", "/messaging/v1/sms/definitions")
	add(noDefinitions, "push_read", "/messaging/v1/push/definitions")
	add(noEntries, "automations_read", "/legacy/v1/beta/bulk/automations/automation/definition")
	add(noEntries, "email_read", "/legacy/v1/beta/messaging/deliverypolicy")
	add(noEntries, "sms_read", "/legacy/v1/beta/mobile/code", "/legacy/v1/beta/mobile/imports", "/legacy/v1/beta/mobile/keyword", "/legacy/v1/beta/mobile/message")
	add(noEntries, "campaign_read", "/legacy/v1/beta2/data/campaign")
	add(noDefinitionsOf("attributeGroupDefinitions"), "audiences_read", "/hub/v1/contacts/schema/attributeGroups")
	add(noDefinitionsOf("setDefinition"), "audiences_read", "/hub/v1/contacts/schema/setDefinitions")
	list = append(list, operation{"GET", "/platform/v1/setup/quickflow/data", "users_read", noChoices})
	return list
}

// The user's time zone, as SOAP's AccountUser has it. Undocumented: the number.
const (
	zoneID   = "10"
	zoneName = "(GMT-06:00) Central Time (No Daylight Saving)"
)

// noChoices is what a new user can be given: of time zones, that of the one user there is.
func noChoices(*call) (wire.Answer, error) {
	return wire.JSON(http.StatusOK, map[string]any{
		"languages": []any{}, "roles": []any{}, "timeZones": []any{map[string]string{"id": zoneID, "description": zoneName}},
		"defaultUserData": map[string]string{"defaultTimeZone": zoneID, "defaultLanguage": "en-US"},
	}), nil
}

// noAssets is the frame of content's lists. A query's body may ask for a page, which is
// not looked at.
func noAssets(c *call) (wire.Answer, error) { return paged(c, []any(nil), 0, nil) }

// noItems is the frame of automations' lists, with a page size that is not asked for.
func noItems(usual int) frame {
	return func(c *call) (wire.Answer, error) {
		number, err := c.count("page", 1)
		if err != nil {
			return wire.Answer{}, err
		}
		size, err := c.count("pageSize", usual)
		if err != nil {
			return wire.Answer{}, err
		}
		return wire.JSON(http.StatusOK, map[string]any{"count": 0, "page": number, "pageSize": size, "items": []any{}}), nil
	}
}

// noEntries is the frame of the legacy lists.
func noEntries(c *call) (wire.Answer, error) {
	number := func(name string, usual int) int {
		if n, err := strconv.Atoi(c.Query(name)); err == nil && n >= 0 {
			return n
		}
		return usual
	}
	return wire.JSON(http.StatusOK, struct {
		StartIndex   int   `json:"startIndex"`
		ItemsPerPage int   `json:"itemsPerPage"`
		TotalResults int   `json:"totalResults"`
		Entry        []any `json:"entry"`
	}{number("skip", 0), number("top", 50), 0, []any{}}), nil
}

// none is a list without a frame.
func none(*call) (wire.Answer, error) { return wire.JSON(http.StatusOK, []any{}), nil }

// noDefinitions is the frame of message definitions.
func noDefinitions(c *call) (wire.Answer, error) {
	return definitionPage(c, nil)
}

// noDefinitionsOf is the frame of the contact model, whose list has a name of its own.
func noDefinitionsOf(name string) frame {
	return func(c *call) (wire.Answer, error) {
		return wire.JSON(http.StatusOK, map[string]any{
			name:                      []any{},
			"responseContext":         map[string]any{"operationStatus": "OK", "schemaType": "Contacts", "populateInternalProperties": false},
			"requestServiceMessageID": wire.NewGUID(),
			"responseDateTime":        shown(c.now),
			"resultMessages":          []any{},
			"serviceMessageID":        wire.NewGUID(),
		}), nil
	}
}
