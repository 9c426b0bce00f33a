package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"onramp/internal/vault"
)

// resolve replaces a value that is a reference, ${env:NAME}, ${file:/path} or
// ${vault:path#key}, by what it refers to. A reference is the whole value or none.
func (r *reader) resolve(s scalar) (scalar, bool) {
	if name, ok := r.misspelt(s.text); ok {
		r.report(s.position, "is not a reference as it is written: use ${env:%s}. If it is the value itself, "+
			"put it in an environment variable or a file, and refer to that", name)
		return scalar{}, false
	}
	if !strings.HasPrefix(s.text, "${") || !strings.HasSuffix(s.text, "}") {
		if strings.Contains(s.text, "${env:") || strings.Contains(s.text, "${file:") || strings.Contains(s.text, "${vault:") {
			r.report(s.position, "a reference must be the whole value: move the rest of the text into the variable, file or secret")
			return scalar{}, false
		}
		return s, true
	}
	text, err := r.referred(s.text[len("${") : len(s.text)-len("}")])
	if err != nil {
		r.report(s.position, "%v", err)
		return scalar{}, false
	}
	return scalar{position: s.position, text: text, ref: s.text}, true
}

// referred gives what a reference refers to, as it stands between its braces.
func (r *reader) referred(reference string) (string, error) {
	kind, name, _ := strings.Cut(reference, ":")
	switch {
	case kind == "env" && name != "":
		text, ok := r.environ[name]
		if !ok {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		return text, nil
	case kind == "file" && name != "":
		return readReference(name)
	case kind == "vault" && name != "":
		return r.readVault(name)
	}
	return "", errors.New("is not a valid reference: use ${env:NAME}, ${file:/path} or ${vault:secret/data/path#key}")
}

// vaultWithin is how long all secrets of a configuration may take.
const vaultWithin = 30 * time.Second

// readVault reads the secret of a reference, path#key.
func (r *reader) readVault(name string) (string, error) {
	path, key, ok := strings.Cut(name, "#")
	if !ok || path == "" || key == "" || strings.Contains(path, "..") || strings.ContainsAny(path, "?%\\ ") {
		return "", errors.New("is not a valid reference to Vault: use ${vault:secret/data/path#key}")
	}
	if r.vault == nil {
		r.vault = vault.New(func(name string) string { return r.environ[name] })
		r.vaultUntil = time.Now().Add(vaultWithin)
	}
	ctx, cancel := context.WithDeadline(context.Background(), r.vaultUntil)
	defer cancel()
	secret, err := r.vault.Read(ctx, strings.Trim(path, "/"), key)
	return secret.Reveal(), err
}

var (
	shellReference = regexp.MustCompile(`^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})$`)
	variableName   = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
)

// misspelt gives the variable of a value that looks like a reference of the shell,
// $NAME or ${NAME}. The name must be in capitals, or that of a variable that is set:
// a password may begin with $, and must not be repeated in a message.
func (r *reader) misspelt(text string) (name string, ok bool) {
	m := shellReference.FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	name = m[1] + m[2]
	_, set := r.environ[name]
	return name, set || variableName.MatchString(name)
}

// maxReferenced is more than any value needs; a larger file is the wrong one.
const maxReferenced = 64 << 10

// readReference reads the file of a reference, without the newline that
// editors and echo put at its end.
func readReference(path string) (string, error) {
	if !filepath.IsAbs(path) {
		// relative to what? The working folder of a service is an accident
		return "", fmt.Errorf("the path of a ${file:…} reference must be absolute, not %q", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("the file %q can't be read: %w", path, cause(err))
	}
	// a pipe or a device could block, or never end
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("the file %q can't be read: it is not a regular file", path)
	}
	if info.Size() > maxReferenced {
		return "", fmt.Errorf("the file %q is larger than %d bytes", path, maxReferenced)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the file %q can't be read: %w", path, cause(err))
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// cause takes the path out of an error of package os: the message has it.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
