package operator

import (
	"context"
	"regexp"
	"slices"
	"sync"

	"onramp/internal/onramp"
)

// ClientKeeper keeps the token clients that operators have added.
type ClientKeeper interface {
	ListTokenClients(ctx context.Context) ([]onramp.TokenClient, error)
	SaveTokenClient(ctx context.Context, c onramp.TokenClient) error
	DeleteTokenClient(ctx context.Context, id string) error
}

// Clients are the clients of the token endpoint, for operators to make, rotate
// and remove. It must not be copied.
type Clients struct {
	Keep           ClientKeeper
	Configured     []onramp.TokenClient            // of the configuration; they can't be changed here
	UsedBy         func(id string) []string        // names of the callbacks that use a client; nil: none does
	ClientsChanged func(ctx context.Context) error // has the token endpoint read its clients again
	NewSecret      func() onramp.Secret
	NewClientID    func() string

	changing sync.Mutex // held from reading a client to saving it
}

// Client is a token client as operators see it.
type Client struct {
	ID      string   `json:"id"`
	Secrets int      `json:"secrets"` // how many are valid
	From    string   `json:"from"`    // configuration or database
	UsedBy  []string `json:"used_by"` // callbacks
}

// NewClient is the answer to POST /api/clients: the only time a secret is shown.
type NewClient struct {
	ID      string `json:"id"`
	Secret  string `json:"secret"`
	Secrets int    `json:"secrets"` // how many are valid, this one among them
}

const (
	fromConfiguration = "configuration"
	fromDatabase      = "database"
)

// clientID is what can be the id of a client that is made here. Nobody knows
// whether Marketing Cloud encodes an id before it goes into HTTP Basic, as RFC
// 6749 (2.3.1) wants; these are the same either way.
var clientID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

var errNoTokenEndpoint = &onramp.Error{Kind: onramp.Conflict, Message: "this gateway has no token endpoint: configure a callback under ens.callbacks"}

var errNoClient = &onramp.Error{Kind: onramp.NotFound, Message: "there is no such client"}

func errConfigured(hint string) error {
	return &onramp.Error{Kind: onramp.Conflict, Message: "this client is defined in the configuration, under oauth.clients: " + hint}
}

// clients returns the clients, or an error of kind Conflict when there is no token
// endpoint.
func (d *Desk) clients() (*Clients, error) {
	if d.Clients == nil {
		return nil, errNoTokenEndpoint
	}
	return d.Clients, nil
}

// ListClients lists the clients of the configuration, then those of the database.
// A client that both have is listed twice: that of the configuration counts.
func (d *Desk) ListClients(ctx context.Context) (Page[Client], error) {
	page := Page[Client]{Items: []Client{}}
	c, err := d.clients()
	if err != nil {
		return page, err
	}
	kept, err := c.Keep.ListTokenClients(ctx)
	if err != nil {
		return page, err
	}
	for _, one := range c.Configured {
		page.Items = append(page.Items, c.view(one, fromConfiguration))
	}
	for _, one := range kept {
		page.Items = append(page.Items, c.view(one, fromDatabase))
	}
	return page, nil
}

// MakeClient makes a client, or gives one that is kept a second secret; without an
// id it makes one up. rotated says that the client was there before. The error is
// of kind Invalid when the id can't be taken, or Conflict when the client stands
// in the configuration.
func (d *Desk) MakeClient(ctx context.Context, id string) (made NewClient, rotated bool, err error) {
	if id == "" && d.Clients != nil {
		id = d.Clients.NewClientID()
	}
	made, err = audited(ctx, d, change{what: "clients.make", role: onramp.RoleOperate, object: id}, func(ctx context.Context) (made NewClient, err error) {
		made, rotated, err = d.makeClient(ctx, id)
		return made, err
	})
	return made, rotated, err
}

func (d *Desk) makeClient(ctx context.Context, id string) (made NewClient, rotated bool, err error) {
	c, err := d.clients()
	if err != nil {
		return NewClient{}, false, err
	}
	client, rotated, err := c.make(ctx, id)
	if err != nil {
		return NewClient{}, false, err
	}
	d.clientsChanged(ctx)
	return NewClient{ID: client.ID, Secret: client.Secrets[0].Reveal(), Secrets: len(client.Secrets)}, rotated, nil
}

// RetireSecret drops the older secret of a client that is kept, and returns the
// client. The error is of kind NotFound, or Conflict when it has only one secret
// or stands in the configuration.
func (d *Desk) RetireSecret(ctx context.Context, id string) (Client, error) {
	return d.changeClient(ctx, "clients.retire", id, (*Clients).retire)
}

// RemoveClient removes a client that is kept, and with it its access tokens, and
// returns what was removed. Callbacks that use it get no events until the client is
// made again, or replaced. The error is of kind NotFound, or Conflict when the client
// stands in the configuration only.
func (d *Desk) RemoveClient(ctx context.Context, id string) (Client, error) {
	return d.changeClient(ctx, "clients.remove", id, (*Clients).remove)
}

func (d *Desk) changeClient(ctx context.Context, what, id string, by func(*Clients, context.Context, string) (onramp.TokenClient, error)) (Client, error) {
	return audited(ctx, d, change{what: what, role: onramp.RoleOperate, object: id}, func(ctx context.Context) (Client, error) {
		c, err := d.clients()
		if err != nil {
			return Client{}, err
		}
		client, err := by(c, ctx, id)
		if err != nil {
			return Client{}, err
		}
		d.clientsChanged(ctx)
		return c.view(client, fromDatabase), nil
	})
}

// clientsChanged is no reason to fail: what was changed is kept, the answer may
// hold a secret that is shown only once, and the token endpoint reads its clients
// again before long.
func (d *Desk) clientsChanged(ctx context.Context) {
	if err := d.Clients.ClientsChanged(ctx); err != nil {
		d.Log.WarnContext(ctx, "token clients could not be reloaded immediately", "err", err)
	}
}

func (c *Clients) view(client onramp.TokenClient, from string) Client {
	v := Client{ID: client.ID, Secrets: len(client.Secrets), From: from, UsedBy: []string{}}
	if from == fromConfiguration || !c.isConfigured(client.ID) {
		v.UsedBy = append(v.UsedBy, c.usedBy(client.ID)...)
	}
	return v
}

func (c *Clients) isConfigured(id string) bool {
	return slices.ContainsFunc(c.Configured, func(known onramp.TokenClient) bool { return known.ID == id })
}

func (c *Clients) usedBy(id string) []string {
	if c.UsedBy == nil {
		return nil
	}
	return c.UsedBy(id)
}

// find gives a client that is kept.
func (c *Clients) find(ctx context.Context, id string) (client onramp.TokenClient, found bool, err error) {
	kept, err := c.Keep.ListTokenClients(ctx)
	if err != nil {
		return client, false, err
	}
	at := slices.IndexFunc(kept, func(known onramp.TokenClient) bool { return known.ID == id })
	if at < 0 {
		return client, false, nil
	}
	return kept[at], true, nil
}

// make adds a secret in front, and leaves the one before it valid, which
// Marketing Cloud uses until ens setup gives it the new one.
func (c *Clients) make(ctx context.Context, id string) (made onramp.TokenClient, rotated bool, err error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	if c.isConfigured(id) {
		return made, false, errConfigured("set a new secret there, and move the current one to previous_secret")
	}
	kept, found, err := c.find(ctx, id)
	switch {
	case err != nil:
		return made, false, err
	case !found && (len(id) > 100 || !clientID.MatchString(id)):
		return made, false, invalidField("id", "must start with a letter or digit and contain only letters, digits, dots, _ and -, at most 100 characters",
			"the client id is not valid")
	}
	made = onramp.TokenClient{ID: id, Secrets: []onramp.Secret{c.NewSecret()}}
	if len(kept.Secrets) > 0 {
		made.Secrets = append(made.Secrets, kept.Secrets[0])
	}
	return made, found, c.Keep.SaveTokenClient(ctx, made)
}

// retire drops the older secret.
func (c *Clients) retire(ctx context.Context, id string) (onramp.TokenClient, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	if c.isConfigured(id) {
		return onramp.TokenClient{}, errConfigured("remove previous_secret there")
	}
	kept, found, err := c.find(ctx, id)
	switch {
	case err != nil:
		return kept, err
	case !found:
		return kept, errNoClient
	case len(kept.Secrets) < 2:
		return kept, &onramp.Error{Kind: onramp.Conflict, Message: "this client has no older secret"}
	}
	kept.Secrets = kept.Secrets[:1]
	return kept, c.Keep.SaveTokenClient(ctx, kept)
}

// remove forgets a client, also one that a callback uses: it may have been stolen.
func (c *Clients) remove(ctx context.Context, id string) (onramp.TokenClient, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	kept, found, err := c.find(ctx, id)
	switch configured := c.isConfigured(id); {
	case err != nil:
		return kept, err
	case !found && configured:
		return kept, errConfigured("remove it there")
	case !found:
		return kept, errNoClient
	}
	return kept, c.Keep.DeleteTokenClient(ctx, id)
}
