// Package sfmc is a client for the REST API of Salesforce Marketing Cloud
// Engagement: it gets access tokens by the server-to-server flow (OAuth 2.0
// client credentials), upserts rows of data extensions and fires journey entry
// events. It needs nothing but the standard library.
//
// Start with three values, in this order:
//
//	authURL, err := sfmc.AuthURL("mc0123456789abcdefghijklmnop") // the tenant's subdomain
//	tokens, err := sfmc.NewTokenRequester(authURL, sfmc.Credentials{…})
//	client := sfmc.NewClient(sfmc.NewTokenCache(tokens))
//
// Then call [Client.UpsertRows] and [Client.FireEvent]. One [Client], one
// [TokenCache] and one [TokenRequester] serve a whole program; all of them are
// safe for concurrent use.
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
// travel inside a 2xx answer. An error that is no *Error never had an answer:
// the request was refused before it was sent ([ErrInvalid], [ErrHost]), or the
// network failed, or the context ended; the cause stays in the chain for
// [errors.Is].
//
// # Where credentials go
//
// The client secret goes to the auth URL that was given, the access token to
// the host that the token names if it is https://LABEL.rest.marketingcloudapis.com,
// or to the origin given by [WithOrigin]; to nothing else. Redirects are not
// followed. Secrets are of type [Secret], which prints as "redacted", and are
// cut out of what the answers say.
//
// # What it does not do
//
// It does not retry (but for the one 401), split batches, queue or slow down:
// [Error] tells all that a caller needs to decide that. It does not speak SOAP,
// the user-centric OAuth flows, or the legacy v1 token route. It does not check
// rows against the data extension; only Marketing Cloud knows its columns.
package sfmc
