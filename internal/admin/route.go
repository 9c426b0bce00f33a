package admin

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"onramp/internal/chain"
	"onramp/internal/erasure"
	"onramp/internal/importer"
	"onramp/internal/onramp"
	"onramp/internal/operator"
	"onramp/internal/web"
)

// Route is a route of the admin API, as the reference describes it.
type Route struct {
	Pattern string       // method and path: "GET /api/status"
	Does    string       // one sentence, in Markdown
	Query   []string     // names of the parameters that it takes in the query; see Parameters
	Example string       // a body; "" when it takes none
	Body    reflect.Type // of the body; nil when it takes none
	Answer  reflect.Type // of the answer
	Role    onramp.Role  // that a token needs for it

	serve web.HandlerFunc
}

// Parameters says what each parameter of a query means, in Markdown.
func Parameters() map[string]string {
	const when = ": a time (`2026-06-23T14:52:45Z`), a date (`2026-06-23`, from 00:00 UTC), or how long ago (`24h`, `7d`)"
	return map[string]string{
		"state":           "only what is in this state",
		"form":            "only what is of this form",
		"destination":     "only what goes there, such as `data_extension:Web_Registrations` or `sink:crm`",
		"cause":           "only what failed for this cause",
		"type":            "only events of this type; `*` matches any text",
		"callback":        "only events that came to this callback",
		"q":               "only what has this text: in the subscriber key or the values, or in the event",
		"since":           "only what was received from then on" + when,
		"until":           "only what was received before" + when,
		"by":              "only what was done with the token of this name",
		"action":          "only this action, such as `deliveries.retry`",
		"limit":           "how many, 1 to 500; 50 without it",
		"cursor":          "`next` of the page before",
		"overwrite_newer": "`true`: also where a newer row of the same person would be overwritten",
	}
}

// Routes lists all routes, in the order of the reference.
func Routes() []Route {
	return (&Admin{Desk: &operator.Desk{}}).routes()
}

// period are the parameters of what was received in a time, and paged those of lists with pages.
func period(more ...string) []string { return append(more, "since", "until") }

func paged(more ...string) []string { return append(period(more...), "limit", "cursor") }

func (a *Admin) routes() []Route {
	return append(a.routesOfRecords(), a.routesOfGateway()...)
}

// routesOfRecords are those of what is stored: registrations, deliveries, events.
func (a *Admin) routesOfRecords() []Route {
	desk := a.Desk
	return []Route{
		answer("GET /api/status", "Everything at a glance: counts by state, destinations, checks, calls. The registrations' counts add up to `accepted`.", desk.Status),

		answering[operator.Page[operator.Registration]]("GET /api/registrations", "Lists registrations, the newest first.", a.listRegistrations, paged("state", "form", "destination", "q")...),
		answerOne("GET /api/registrations/{id}", "One registration with its values and deliveries.", desk.FindRegistration),
		answerOne("GET /api/registrations/{id}/timeline", "All that happened to one registration, oldest first.", desk.Timeline),
		taking[operator.Again](answering[operator.Resent]("POST /api/registrations/{id}/resend", "Sends one registration again, to where the route of its form leads now.", a.resendRegistration), `{"step":1,"dry_run":true}`),
		answering[operator.Registration]("POST /api/registrations/{id}/release", "Has a registration sent that is held under suspicion.", a.releaseRegistration, "overwrite_newer"),
		answerOne("POST /api/registrations/{id}/discard", "Gives a registration up that is held under suspicion.", desk.DiscardSuspect),
		answerTo("POST /api/registrations/release", "Has all sent that match and are held under suspicion. What a newer row has overtaken is left alone and counted.", desk.ReleaseSuspects, `{"form":"registration","reason":"form_limit","dry_run":true}`),
		answerTo("POST /api/registrations/discard", "Gives all up that match and are held under suspicion.", desk.DiscardSuspects, `{"form":"registration","reason":"honeypot","since":"24h"}`),

		answerOne("POST /api/registrations/{id}/remind", "Asks the person of a held registration once more to confirm it, within the limits of its form.", desk.RemindRegistration),
		private(answerTo("POST /api/registrations/erase", "Erases a person, here and in Marketing Cloud, or says what there is of the person.", desk.ErasePerson, `{"email":"ana@example.org","dry_run":true}`)),
		private(answerTo("POST /api/registrations/restrict", "Has Marketing Cloud restrict the processing of a person's data.", desk.RestrictPerson, `{"subscriber_key":"u-1001"}`)),
		private(answerTo("POST /api/registrations/export", "Everything that is stored of a person.", desk.ExportPerson, `{"email":"ana@example.org"}`)),
		answer("GET /api/erasures", "Lists erasures and restrictions, the newest first.", desk.ListErasures),
		answerOne("GET /api/erasures/{id}", "One of them, part by part.", desk.FindErasure),
		private(taking[reason](answering[erasure.Run]("POST /api/erasures/{id}/close", "Ends one whose open parts were done by hand.", a.closeErasure), `{"reason":"deleted by hand in Contact Builder"}`)),

		answering[operator.Page[operator.Delivery]]("GET /api/deliveries", "Lists deliveries, the newest first.", a.listDeliveries, paged("state", "form", "destination", "q", "cause")...),
		answerOne("GET /api/deliveries/{id}", "One delivery with each attempt: what was sent and what was answered.", desk.FindDelivery),
		answering[operator.Causes]("GET /api/causes", "Groups dead and unknown deliveries by what they have in common.", a.listCauses, period("state", "form", "destination")...),
		answering[operator.Delivery]("POST /api/deliveries/{id}/retry", "Retries a dead or unknown delivery.", a.retryDelivery, "overwrite_newer"),
		taking[operator.Correction](answering[operator.Delivery]("POST /api/deliveries/{id}/edit", "Corrects the registration of a dead or unknown delivery; every value is a text.", a.editDelivery), `{"fields":{"email":"ana@example.org"},"retry":true}`),
		taking[reason](answering[operator.Delivery]("POST /api/deliveries/{id}/discard", "Gives a delivery up, with the later steps of its registration, which would wait for it forever.", a.discardDelivery), `{"reason":"a test"}`),
		answerTo("POST /api/deliveries/retry", "Retries all that match. What a newer row has overtaken, and what can't be sent, is left alone and counted.", desk.RetryDeliveries, `{"cause":"1e48f7c5"}`),
		answerTo("POST /api/deliveries/discard", "Gives up all that match, with the later steps of their registrations.", desk.DiscardDeliveries, `{"cause":"1e48f7c5","reason":"a test","all":true}`),
		answerTo("POST /api/deliveries/move", "Has what waits for one destination go to another one.", desk.MoveDeliveries, `{"from":"data_extension:Old","to":"data_extension:New","dry_run":true}`),

		answering[operator.Page[operator.DestinationStatus]]("GET /api/destinations", "Lists destinations and how they are doing.", a.listDestinations),
		taking[reason](answering[operator.DestinationStatus]("POST /api/destinations/{name}/pause", "Stops sending there, across restarts. Percent-encode the name where it holds more than letters, digits, `:`, `-`, `_` and `.`.", a.pauseDestination), `{"reason":"the data extension is being rebuilt"}`),
		answering[operator.DestinationStatus]("POST /api/destinations/{name}/resume", "Goes on sending there.", a.resumeDestination),

		answering[operator.Page[operator.Event]]("GET /api/events", "Lists events, the newest first.", a.listEvents, paged("type", "callback", "destination", "q")...),
		answerOne("GET /api/events/{id}", "One event, as it came.", desk.FindEvent),
	}
}

// routesOfGateway are those of runs, set-up, clients and logs.
func (a *Admin) routesOfGateway() []Route {
	const kept = `{"anchors":[]}`
	const resendExample = `{"kind":"events","filter":{"sink":"crm","since":"2026-06-01T00:00:00Z"}}`
	const importExample = `{"form":"registration","sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}`
	desk := a.Desk
	return []Route{
		answer("GET /api/resends", "Lists resends, the newest first.", desk.Resends.List),
		answerOne("GET /api/resends/{id}", "One resend, and how far it is.", desk.Resends.Find),
		reading(answerTo("POST /api/resends/plan", "Says what a resend of events or registrations would do.", desk.Resends.Plan, resendExample)),
		answerTo("POST /api/resends", "Starts a resend, which goes on by itself, over restarts.", desk.StartResend, resendExample),
		answerOne("POST /api/resends/{id}/cancel", "Ends a resend; what is queued is still sent.", desk.CancelResend),

		answer("GET /api/imports", "Lists imports, the newest first.", desk.Imports.List),
		answerTo("POST /api/imports", "Starts an import of a file, or goes on with the one of the same file in the same way. The rows come by the route below.", desk.StartImport, importExample),
		answerOne("GET /api/imports/{id}", "One import, and how far it is.", desk.Imports.Find),
		taking[importer.Portion](answering[importer.Run]("POST /api/imports/{id}/rows", "Takes the next rows of an import, 250 at most. With `waits` in the answer it was too early for them: send them again a little later.", a.importRows),
			`{"position":0,"rows":[{"line":2,"values":{"email":"ana@example.org","received_at":"2024-05-31T12:00:00Z"}}],"end":true}`),
		answering[importer.Refusals]("GET /api/imports/{id}/refused", "Lists the rows that an import has refused, with the reasons and without the values.", a.listRefused, "cursor"),
		reading(taking[importer.Trial](answering[importer.Tried]("POST /api/imports/try", "Says what an import would do with some rows, and stores nothing.", a.tryImport),
			`{"form":"registration","rows":[{"line":2,"values":{"email":"ana@example.org"}}]}`)),

		answer("GET /api/ens", "The state of authentication scheme, callbacks and subscriptions in Marketing Cloud.", desk.SetupStatus),
		reading(answerTo("POST /api/ens/plan", "Says what set-up would do, or, with `remove`, what removing would.", desk.PlanSetup, `{"prune":true}`)),
		answerTo("POST /api/ens/setup", "Makes Marketing Cloud match the configuration.", desk.ApplySetup, `{"prune":true}`),
		answerTo("POST /api/ens/remove", "Deletes the callbacks in Marketing Cloud, with their subscriptions.", desk.RemoveSetup, `{"callbacks":["events"]}`),

		answer("GET /api/clients", "Lists the clients of the token endpoint, without secrets.", desk.ListClients),
		taking[clientID](answering[operator.NewClient]("POST /api/clients", "Makes a client (201), or adds a secret to one (200). The secret is shown this once.", a.makeClient), `{"id":"mc-events"}`),
		answerOne("POST /api/clients/{id}/retire", "Ends the older of two secrets, and the access tokens issued for it.", desk.RetireSecret),
		answerOne("DELETE /api/clients/{id}", "Removes a client; its access tokens are refused from then on.", desk.RemoveClient),

		private(answerTo("POST /api/registrations/withdraw", "Takes back the consent of a person: an entry in the consent log, and the form's consent column becomes false. Without `form` for all forms.", desk.WithdrawConsent, `{"email":"ana@example.org","form":"registration"}`)),
		private(answerTo("POST /api/consent/export", "Exports what the consent log has of a person, with the texts, signed.", desk.ExportConsent, `{"email":"ana@example.org"}`)),
		reading(answerLarge("POST /api/consent/check", "Says whether an export was signed by this gateway and not changed since.", desk.CheckExport, `{"export":{},"signature":""}`)),
		answering[chain.Report]("GET /api/consent/verify", "Verifies the consent log, and says what is wrong with it.", a.verify(desk.VerifyConsent)),
		reading(answerLarge("POST /api/consent/verify", "Verifies the consent log, and compares it with anchors that you have kept.", desk.VerifyConsent, kept)),

		answering[operator.Page[operator.Action]]("GET /api/audit", "Lists what operators did, the newest first.", a.listActions, paged("by", "action")...),
		answering[chain.Report]("GET /api/audit/verify", "Verifies the audit log, and says what is wrong with it.", a.verify(desk.VerifyAudit)),
		reading(answerLarge("POST /api/audit/verify", "Verifies the audit log, and compares it with anchors that you have kept.", desk.VerifyAudit, kept)),

		answerTo("POST /api/debug/bundle", "Makes the files of a debug bundle, in base64, without secrets and personal data.", desk.Bundle, `{"offline":true}`),
	}
}

// answer is a route that answers with what the Desk returns.
func answer[V any](pattern, does string, ask func(context.Context) (V, error)) Route {
	return answering[V](pattern, does, func(w http.ResponseWriter, r *http.Request) error {
		v, err := ask(r.Context())
		return write(w, v, err)
	})
}

// answerOne does so for the id in the path.
func answerOne[V any](pattern, does string, ask func(ctx context.Context, id string) (V, error)) Route {
	return answering[V](pattern, does, func(w http.ResponseWriter, r *http.Request) error {
		v, err := ask(r.Context(), r.PathValue("id"))
		return write(w, v, err)
	})
}

// answerTo does so for a body, of which example is one.
func answerTo[B, V any](pattern, does string, ask func(context.Context, B) (V, error), example string) Route {
	return taking[B](answering[V](pattern, does, func(w http.ResponseWriter, r *http.Request) error {
		var body B
		if err := readJSON(r, &body, example); err != nil {
			return err
		}
		v, err := ask(r.Context(), body)
		return write(w, v, err)
	}), example)
}

// answerLarge is answerTo for a body that may be large: anchors, or an export.
func answerLarge[B, V any](pattern, does string, ask func(context.Context, B) (V, error), example string) Route {
	return taking[B](answering[V](pattern, does, func(w http.ResponseWriter, r *http.Request) error {
		var body B
		if err := readLargeJSON(r, &body, maxLarge, example); err != nil {
			return err
		}
		v, err := ask(r.Context(), body)
		return write(w, v, err)
	}), example)
}

// answering is a route that answers with a V.
func answering[V any](pattern, does string, serve web.HandlerFunc, query ...string) Route {
	role := onramp.RoleOperate
	if strings.HasPrefix(pattern, "GET ") {
		role = onramp.RoleRead
	}
	return Route{Pattern: pattern, Does: does, Query: query, Answer: reflect.TypeFor[V](), Role: role, serve: serve}
}

// private is a route that acts for a person.
func private(r Route) Route {
	r.Role = onramp.RolePrivacy
	return r
}

// reading is a route that changes nothing, though it is no GET.
func reading(r Route) Route {
	r.Role = onramp.RoleRead
	return r
}

// taking is a route that takes a B.
func taking[B any](r Route, example string) Route {
	r.Body, r.Example = reflect.TypeFor[B](), example
	return r
}
