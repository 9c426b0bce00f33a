package app

import (
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
