// Package sfmc is a client for the APIs of Salesforce Marketing Cloud
// Engagement: it gets access tokens by the server-to-server flow (OAuth 2.0
// client credentials), upserts rows of data extensions, fires journey entry events,
// sends transactional email, and manages the callbacks and subscriptions of the Event
// Notification Service (ENS). It needs nothing but the standard library.
//
// The module has no public address yet: another module uses it by a replace
// directive, which the README shows.
//
// Start with a client, and make calls:
//
//	client, err := sfmc.New("mc0123456789abcdefghijklmnop", sfmc.Credentials{
//		ClientID: "…", ClientSecret: "…", AccountID: "510000001", // the MID
//	})
//	err = client.StoreRows(ctx, "Web_Registrations", rows)
//
// One [Client] serves a whole program; it is safe for concurrent use. Where [New] is
// too little, as to keep the token across restarts, put the same together by hand:
//
//	authURL, err := sfmc.AuthURL("mc0123456789abcdefghijklmnop")
//	tokens, err := sfmc.NewTokenRequester(authURL, sfmc.Credentials{…})
//	client := sfmc.NewClient(sfmc.NewTokenCache(tokens, sfmc.WithTokenStore(…)))
//
// # What it does
//
// Each call needs the scopes that the installed package has for it (vendor page
// "REST API Permission IDs and Scopes"):
//
//   - [Client.UpsertRows] and [Client.StoreRows] store up to 50 rows of a data
//     extension, at once: data_extensions_write.
//   - [Client.UpsertRowsAsync] and [Client.InsertRowsAsync] hand over thousands of
//     rows, to be stored soon after: data_extensions_write.
//   - [Client.AsyncStatus] and [Client.AsyncResults] tell what became of those:
//     data_extensions_read.
//   - [Client.FireEvent], and [Client.FireEvents] for up to 100, let contacts enter
//     journeys: journeys_read and list_and_subscribers_read.
//   - [Client.SendMessage], and [Client.SendMessages] for up to 2,000, send
//     transactional email: email_send.
//   - [Client.CreateAuthScheme], [Client.CreateCallback], [Client.VerifyCallback],
//     [Client.CreateSubscription] and the calls beside them set up where ENS sends
//     which events, and how it proves itself there:
//     event_notification_callback_create, _read, _update and _delete, and
//     event_notification_subscription_create, _read, _update and _delete.
//
// [Client.Do] makes a call that there is no method for, by REST or by SOAP. Package
// metadata, below this one, reads and creates data extensions, folders and event
// definitions with it.
//
// # Events
//
// To receive events, in this order: start the receiver; make an [AuthScheme] if
// there is to be a token; make a [Callback], during which the receiver is sent a
// verification key; verify the callback by that key; make a [Subscription]. From
// then on [VerifySignature] reports whether a request to the receiver is Marketing
// Cloud's. The receiver itself, and what events look like, is no matter of this
// package.
//
// # Tokens
//
// Marketing Cloud asks for at most one token in 20 minutes for each machine
// (help page "Marketing Cloud Engagement API limits"), so the cache matters:
// it shares one request among all callers, renews ahead of expiry, and with
// [WithTokenStore] survives a restart. When a call is answered 401 the client
// drops the token, gets another one and repeats the call exactly once.
//
// # Errors
//
// Whatever Marketing Cloud answers, other than success, is an [*Error]: its
// status, code, message and a piece of its body. That includes errors which
// travel inside a 2xx answer. Success is what the route is known to answer, such as
// the rows again or an id: a 2xx with anything else, or with nothing, comes from a
// proxy or the like, and is an Error with [ErrAnswer]. Only calls that delete or
// verify are known to be answered with no more than a status. Where a call is for several things that are
// accepted one by one, the result reports each, and the error only what is wrong
// with the whole call. An error that is no *Error never had an answer: the request
// was refused before it was sent ([ErrInvalid], [ErrHost]), or the network failed,
// or the context ended; the cause stays in the chain for [errors.Is]. To keep
// records of what failed, get the request as it was sent by [TraceRequests].
//
// # Where credentials go
//
// The client secret goes to the auth URL that was given, the access token to
// the host that the token names if it is https://LABEL.rest.marketingcloudapis.com, or
// https://LABEL.soap.marketingcloudapis.com for a SOAP call, or to the origin given by [WithOrigin]; to nothing else. Redirects are not
// followed. Secrets are of type [Secret], which prints as "redacted", and are
// cut out of what the answers say.
//
// # What it does not do
//
// It does not retry (but for the one 401, a page of results whose size was refused,
// and an authentication scheme whose form may have been), split batches, queue or
// slow down: [Error] holds all that a caller needs to decide that. It does not
// speak the user-centric OAuth flows, or the legacy v1 token route. It does
// not check rows against the data extension; only Marketing Cloud knows its
// columns.
package sfmc
