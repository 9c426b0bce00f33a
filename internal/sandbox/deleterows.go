package sandbox

import (
	"net/http"

	"onramp/internal/sandbox/wire"
)

// deleteRows answers POST /hub/v1/dataevents/{id}/rowset/delete. Undocumented: the route
// stands in the API's own index and in the vendor's Postman collection, with the body of
// an upsert, of which only the keys count. Its answer is like the upsert's; all rows go,
// or none if one is not named by its keys.
func (s *Sandbox) deleteRows(c *wire.Call) (wire.Answer, error) {
	e, before, err := s.extension(c)
	if err != nil {
		return wire.Answer{}, err
	}
	rows, ok := before.ReadRowset(c.Body)
	if !ok {
		return wire.Answer{}, wire.Failure(http.StatusBadRequest, wire.CodeInvalidFormat)
	}
	s.lock()
	defer s.mu.Unlock()
	e.Fit(before, rows)
	identities := make([]string, len(rows))
	for i := range rows {
		if err := unnamed(&rows[i]); err != nil {
			return wire.Answer{}, err
		}
		identities[i] = rows[i].Identity
	}
	e.Delete(identities...)
	return wire.Answer{Status: http.StatusOK, ContentType: wire.JSONType, Body: c.Body}, nil
}
