// Package metadata reads and makes what an account in Marketing Cloud has: data
// extensions with their columns, folders, event definitions, journeys and message
// definitions. Rows, entry events and messages are package sfmc's.
//
// It works through a client of package sfmc:
//
//	client, err := sfmc.New("mc0123456789abcdefghijklmnop", sfmc.Credentials{…})
//	account := metadata.New(client)
//	extension, err := account.DataExtension(ctx, "Web_Registrations")
//
// # What it does
//
// Marketing Cloud has two APIs for this, and neither is enough. SOAP finds a data extension
// by its key at once, where REST's search takes seconds to find a new one; REST
// takes the folder when a data extension is created. Added and lengthened columns are
// SOAP's: REST answers 200 and ignores them. Nothing here shrinks, renames, changes a
// type or deletes.
//
// Each call needs scopes of the installed package:
//
//   - [Client.Context]: none.
//   - [Client.DataExtension], [Client.DataExtensionByID], [Client.DataExtensions],
//     [Client.Folders]: data_extensions_read.
//   - [Client.CreateDataExtension], [Client.AddFields], [Client.CreateFolder]:
//     data_extensions_write; [Client.LengthenField] needs both.
//   - [Client.EventDefinition], [Client.CreateEventDefinition], [Client.Journeys]:
//     journeys_read.
//   - [Client.MessageDefinition]: email_read.
//
// # Errors
//
// What does not exist is [ErrNotFound]. An answer that seems to say that the package
// lacks a scope is a [*ScopeError], which names it. Under both, and for every other answer
// but success, stands a [*sfmc.Error]. SOAP reports most errors with status 200: then
// its CodeText is the result's ErrorCode. A data extension, folder or event definition that exists
// already is refused by Marketing Cloud. An answer that cannot be understood has
// [sfmc.ErrAnswer] in its chain; whether a change took effect is then not known. Arguments
// are refused with [sfmc.ErrInvalid] before anything is sent.
//
// Marketing Cloud is known to answer "OK" to changes that it ignores. Who changes something
// should read it back.
package metadata
