// Package onramp holds the words of the product as types: form, field,
// registration, route, destination, delivery, attempt, outcome. It says what a
// form accepts and what a registration looks like once it is accepted, and
// knows nothing of HTTP, SQL or Marketing Cloud's routes.
//
// Everything else imports it; it imports nothing of ours.
package onramp
