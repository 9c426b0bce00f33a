package cli

import (
	"onramp/internal/app"
	"onramp/internal/config"
	"onramp/internal/provision"
)

// provisioner is that of the configuration.
func (c *command) provisioner(folder string) (*provision.Provisioner, error) {
	cfg, err := config.Load(c.configPath(), c.Environ)
	if err != nil {
		return nil, c.missing(err)
	}
	return app.NewProvisioner(cfg, folder)
}
