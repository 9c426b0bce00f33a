package authority

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"onramp/internal/shell"
)

// DefaultTenant stands for the subdomain of an account.
const DefaultTenant = "mcsandbox0000000000000000000"

var tenantForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// tenantLength is what the vendor's own libraries insist on.
const tenantLength = 28

// CheckTenant says what is wrong with the name of a tenant, the first label of an
// account's host names.
func CheckTenant(name string) error {
	if len(name) != tenantLength || !tenantForm.MatchString(name) {
		return fmt.Errorf("a tenant is %d small letters, digits and hyphens, such as %s", tenantLength, DefaultTenant)
	}
	return nil
}

//go:embed guide.txt
var guideText string

var guideTemplate = template.Must(template.New("guide").Funcs(template.FuncMap{"word": shell.Word}).Parse(guideText))

// Guided is what Guide tells people of.
type Guided struct {
	Tenant                 string // see CheckTenant
	Address                string // that the sandbox listens on: an IP address and a port
	ClientID, ClientSecret string // of the installed package
}

// Guide says what makes programs reach the sandbox under a tenant's host names: lines
// for the hosts file, what to set for each language, and what port 443 takes. Its lines
// are a shell's.
func (a *Authority) Guide(g Guided) (string, error) {
	address, err := netip.ParseAddrPort(g.Address)
	if err != nil {
		return "", errors.New("the sandbox's address is not an IP address with a port")
	}
	ip := address.Addr().Unmap()
	if ip.IsUnspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	port := fmt.Sprint(address.Port())
	view := struct {
		Guided
		Folder                     string
		Certificate, Key, Keystore string
		IP, ResolveIP              string
		Port, PortInURL            string
		Names                      []string
	}{
		Guided: g, Folder: a.folder, Certificate: a.CertificateFile(), Key: a.KeyFile(), Keystore: filepath.Join(a.folder, "ca.p12"),
		IP: ip.String(), ResolveIP: ip.String(), Port: port,
	}
	view.Address = net.JoinHostPort(view.IP, port)
	if ip.Is6() {
		view.ResolveIP = "[" + view.IP + "]"
	}
	if port != "443" {
		view.PortInURL = ":" + port
	}
	for _, api := range []string{"auth", "rest", "soap"} {
		view.Names = append(view.Names, g.Tenant+"."+api+"."+domain)
	}
	var b strings.Builder
	err = guideTemplate.Execute(&b, view)
	return b.String(), err
}
