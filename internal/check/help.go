package check

// Help is the long help of onramp check.
const Help = `Reads the configuration and tries what it names, all at once and within seconds: the
account in Marketing Cloud (credentials, business unit, scopes, clock), each data extension
with its columns, events and their journeys, messages, the Event Notification Service, the
public address, sinks and alerts, and what the gateway needs on this machine.

Each line is a finding. Under it stands whose turn it is (admin of Marketing Cloud, web
developer or operator of the gateway), what to do, and the menu path in Marketing Cloud.
What can't be checked because of another failure is not listed as one of its own.

It only reads, and works beside a running gateway, which it asks for what only that knows.
--write-probe also writes a marked row into each data extension that has no failure, and
removes it again. --send-test-alert sends an alert to each receiver.

Exit status: 0 when all is well, 1 with warnings, 2 with failures, and 2 when the command
is used wrongly.

The JSON is {"level","checks":[{"name","object","level","message","who","mend","menu"}],
"skipped":[names]}. level is ok, warning or failure; who is admin, developer or operator.
All values are texts, and "" where there is none.`
