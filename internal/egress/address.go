package egress

import (
	"net/netip"
	"slices"
)

// metadata are the addresses at which clouds give credentials to whoever asks from
// inside. Those that are link-local are refused as such.
func metadata() []netip.Prefix {
	return prefixes(
		"169.254.169.254/32", // AWS, Azure, Google Cloud, and most others
		"fd00:ec2::254/128",  // AWS by IPv6
		"fd20:ce::254/128",   // Google Cloud by IPv6
		"100.100.100.200/32", // Alibaba Cloud
		"168.63.129.16/32",   // Azure's host agent
		"192.0.0.192/32",     // Oracle Cloud, before 169.254.169.254
	)
}

// reserved are addresses that no host has (RFC 6890), beside multicast.
func reserved() []netip.Prefix { return prefixes("0.0.0.0/8", "240.0.0.0/4") }

// shared are addresses between a provider and its customers (RFC 6598), which overlay
// networks use as private ones, and the site-local ones of old.
func shared() []netip.Prefix { return prefixes("100.64.0.0/10", "fec0::/10") }

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

func isOneOf(address netip.Addr, of []netip.Prefix) bool {
	return slices.ContainsFunc(of, func(p netip.Prefix) bool { return p.Contains(address) })
}

// embedded is the IPv4 address that a gateway of the network would make of an IPv6 one,
// invalid if none would: NAT64 (RFC 6052), 6to4 (RFC 3056), IPv4-compatible (RFC 4291).
func embedded(address netip.Addr) netip.Addr {
	if !address.Is6() {
		return netip.Addr{}
	}
	bytes := address.As16()
	switch {
	case isOneOf(address, prefixes("64:ff9b::/96", "::/96")) && !address.IsLoopback() && !address.IsUnspecified():
		return netip.AddrFrom4([4]byte(bytes[12:]))
	case isOneOf(address, prefixes("2002::/16")):
		return netip.AddrFrom4([4]byte(bytes[2:6]))
	}
	return netip.Addr{}
}
