package app

import (
	"context"
	"errors"
	"fmt"

	"onramp/internal/config"
	"onramp/internal/provision"
	"onramp/sfmc/metadata"
)

// NewAccount makes a client for what the account of a configuration has. It gets a token
// of its own, and keeps none.
func NewAccount(cfg *config.Config) (*metadata.Client, error) {
	sender, err := checkSender(cfg)
	if err != nil {
		return nil, err
	}
	return metadata.New(sender.Client()), nil
}

// NewProvisioner makes what plans, and makes, what the forms of a configuration need in
// Marketing Cloud. folder is the one for new data extensions, "" the topmost one.
func NewProvisioner(cfg *config.Config, folder string) (*provision.Provisioner, error) {
	account, err := NewAccount(cfg)
	if err != nil {
		return nil, err
	}
	return provision.New(provision.Config{Account: account, Forms: cfg.Forms, Folder: folder}), nil
}

// DraftConfig makes the text of a configuration with a form for a data extension that
// exists in the account of cfg; use says how its key is used. tokenFile is as in
// [config.Template].
func DraftConfig(ctx context.Context, cfg *config.Config, key string) (text func(tokenFile string) []byte, use string, err error) {
	account, err := NewAccount(cfg)
	if err != nil {
		return nil, "", err
	}
	found, err := account.DataExtension(ctx, key)
	if errors.Is(err, metadata.ErrNotFound) {
		return nil, "", fmt.Errorf("there is no data extension with the external key %s in this business unit; Contact Builder shows the key among the properties of a data extension", key)
	}
	if err != nil {
		return nil, "", err
	}
	d, err := provision.DraftForm(found)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", key, err)
	}
	form := config.FormText{
		Name: d.Form, SubscriberKey: d.SubscriberKey, Fields: d.Fields, Key: d.Key, KeyColumn: d.KeyColumn, Account: cfg.MarketingCloud,
	}
	return func(tokenFile string) []byte { return config.TemplateFor(tokenFile, form) }, d.Use, nil
}
