package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"onramp/internal/cli/frame"
	"onramp/internal/keyset"
	"onramp/internal/onramp"
)

func (c *command) keys() *cobra.Command {
	return frame.Group("keys", "Create secrets and encryption keys; manage stored token clients", c.keysNew(), c.keysList(), c.keysRetire(), c.keysRemove(), c.keysReset())
}

// kindOfKey is one kind of what keys new makes.
type kindOfKey struct {
	use, short, long, example string
	make                      func() freshKey
}

// freshKey is a secret as it is printed: bare, or as JSON.
type freshKey struct {
	text string
	json any
}

func kindsOfKeys() []kindOfKey {
	return []kindOfKey{
		{
			"client", "Create the ID and the secret of a token client",
			`Prints the ID and the secret of a client of the token endpoint, for oauth.clients.

With --save, the running gateway creates the client and stores it, encrypted, in its
database: nothing has to be configured, and the secret is shown only once. With --client,
a stored client gets a second secret: the previous one stays valid until onramp keys
retire, and any older one is revoked at once.`,
			`  onramp keys new client
  onramp keys new client --save
  onramp keys new client --save --client onramp-q7rmbkzhx2v4w6ea`,
			func() freshKey {
				client := newClient()
				return freshKey{fmt.Sprintf("id: %s\nsecret: %s", client.ID, client.Secret), client}
			},
		},
		{
			"password", "Create a password for a user of the password grant",
			`Prints a password for oauth.users, for callbacks with auth: password.`,
			"  onramp keys new password > /run/secrets/onramp-ens-password",
			func() freshKey { return oneKey("password", keyset.NewSecret()) },
		},
		{
			"webhook", "Create a secret for signing webhooks",
			`Prints the signing secret of a webhook sink, in the format of Standard Webhooks. The
receiver needs it, too.`,
			"  onramp keys new webhook > /run/secrets/onramp-crm",
			func() freshKey { return oneKey("webhook_secret", keyset.NewWebhookSecret()) },
		},
		{
			"admin", "Create a token for the admin API",
			`Prints a token for admin.token.`,
			"  onramp keys new admin > /run/secrets/onramp-admin",
			func() freshKey { return oneKey("admin_token", keyset.NewSecret()) },
		},
	}
}

func oneKey(name string, secret onramp.Secret) freshKey {
	return freshKey{secret.Reveal(), map[string]string{name: secret.Reveal()}}
}

func (c *command) keysNew() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Create new secrets and print them once",
		Long: `Prints new secrets as part of a configuration: an encryption key, a token for the admin
API, a token client, a password and a webhook secret. Copy what you need. Nothing is
stored or changed.

With the name of one kind, prints only that secret, for a file that the configuration
refers to as "${file:/run/secrets/…}".`,
		Example: `  onramp keys new
  onramp keys new --output json
  (umask 077 && onramp keys new encryption > /run/secrets/onramp-keyset)`,
		Args: cobra.NoArgs,
		RunE: frame.Run(func(context.Context, []string) error { return c.printAllKeys() }),
	}
	c.outputFlag(cmd)
	cmd.AddCommand(c.keysNewEncryption())
	for _, kind := range kindsOfKeys() {
		one := &cobra.Command{
			Use: kind.use, Short: kind.short, Long: kind.long, Example: kind.example, Args: cobra.NoArgs,
			RunE: frame.Run(func(context.Context, []string) error { return c.printKey(kind.make()) }),
		}
		c.outputFlag(one)
		if kind.use == "client" {
			c.saving(one)
		}
		cmd.AddCommand(one)
	}
	return cmd
}

func (c *command) keysNewEncryption() *cobra.Command {
	var rotate string
	cmd := &cobra.Command{
		Use:   "encryption",
		Short: "Create an encryption key, or rotate one",
		Long: `Prints a key for encryption_key. It encrypts the secrets in the gateway's database:
those of callbacks and clients, and the access token. Without the key they are lost, so
keep a copy, separate from the backup of the database.

With --rotate, prints the key in FILE with a new one added. New data is encrypted with
the new key, and old data can still be read. FILE itself is not changed: write to another
file, since the shell empties the file that > names. Give the result to all processes,
and restart them together.`,
		Example: `  (umask 077 && onramp keys new encryption > /run/secrets/onramp-keyset)
  (umask 077 && onramp keys new encryption --rotate onramp.db.key > new.key) && mv new.key onramp.db.key`,
		Args: cobra.NoArgs,
		RunE: frame.Run(func(context.Context, []string) error {
			text, err := encryptionKey(rotate)
			if err != nil {
				return err
			}
			return c.printKey(oneKey("encryption_key", text))
		}),
	}
	c.outputFlag(cmd)
	cmd.Flags().StringVar(&rotate, "rotate", "", "add a new key to the encryption key in this `file`")
	return cmd
}

// encryptionKey makes one, or adds a new key to the one in a file.
func encryptionKey(rotate string) (onramp.Secret, error) {
	if rotate == "" {
		return keyset.New()
	}
	old, err := os.ReadFile(rotate)
	if err != nil {
		return "", fmt.Errorf("read the key to rotate: %w", err)
	}
	rotated, err := keyset.Rotate(onramp.Secret(old))
	if err != nil {
		return "", fmt.Errorf("rotate %s: %w", rotate, err)
	}
	return rotated, nil
}

// clientKeys is a token client as it is printed.
type clientKeys struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

func newClient() clientKeys {
	return clientKeys{keyset.NewClientID(), keyset.NewSecret().Reveal()}
}

func (c *command) printKey(key freshKey) error {
	if c.output == "json" {
		return c.printJSON(key.json)
	}
	_, err := fmt.Fprintln(c.Stdout, key.text)
	return err
}

// allKeys is one of each kind.
type allKeys struct {
	EncryptionKey string     `json:"encryption_key"`
	AdminToken    string     `json:"admin_token"`
	Client        clientKeys `json:"client"`
	Password      string     `json:"password"`
	WebhookSecret string     `json:"webhook_secret"`
}

func (c *command) printAllKeys() error {
	text, err := keyset.New()
	if err != nil {
		return err
	}
	all := allKeys{
		text.Reveal(), keyset.NewSecret().Reveal(), newClient(), keyset.NewSecret().Reveal(), keyset.NewWebhookSecret().Reveal(),
	}
	if c.output == "json" {
		return c.printJSON(all)
	}
	_, err = fmt.Fprintf(c.Stdout, keysText, all.EncryptionKey, all.AdminToken, all.Client.ID, all.Client.Secret, all.Password, all.WebhookSecret)
	return err
}

const keysText = `# New secrets, shown only once and stored nowhere. Copy what you need into onramp.yaml;
# or better, put each into its own file or environment variable and refer to it as
# "${file:/run/secrets/…}" or "${env:…}".

# Encrypts the secrets in the database. Keep a copy, separate from the database's backup.
encryption_key: "%s"

# The bearer token of the admin API.
admin:
  token: "%s"

# Marketing Cloud logs in with these to get tokens. The user is only for auth: password.
oauth:
  clients:
    - id: "%s"
      secret: "%s"
  users:
    - name: mc-user
      password: "%s"

# Signs webhooks; the receiver needs it, too.
# sinks:
#   - name: crm
#     webhook: { url: https://crm.example.com/events, secret: "%s" }
`
