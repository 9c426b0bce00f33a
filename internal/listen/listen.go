// Package listen knows the addresses that a listener is given, host:port: whether two
// can be listened on at the same time, and how to reach one. Use Valid first.
package listen

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Valid says whether an address can be listened on.
func Valid(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, " /") {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// IsLoopback says whether only this machine can reach an address.
func IsLoopback(address string) bool {
	host, _ := split(address)
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// IsEverywhere says whether an address stands for all of this machine's.
func IsEverywhere(address string) bool {
	host, _ := split(address)
	return host == "" || host == everyIPv4
}

const everyIPv4 = "0.0.0.0"

// Overlap says that two addresses can't be listened on at the same time. Port 0 is
// a free one each time.
func Overlap(a, b string) bool {
	hostA, portA := split(a)
	hostB, portB := split(b)
	return portA == portB && portA != 0 && (hostA == hostB || covers(hostA, hostB) || covers(hostB, hostA))
}

// split writes the host of an address in one way: "" for all addresses.
func split(address string) (host string, port uint64) {
	host, text, _ := net.SplitHostPort(address)
	port, _ = strconv.ParseUint(text, 10, 16)
	if host = strings.ToLower(host); host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	if host == "::" {
		host = "" // Go listens on IPv4, too
	}
	return host, port
}

// covers says that who listens on all addresses also listens on host.
func covers(all, host string) bool {
	return all == "" || all == everyIPv4 && !strings.Contains(host, ":")
}

// URL is how a client on this machine reaches an address.
func URL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if IsEverywhere(address) {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Where is the same for people who want to know who can reach it: http://*:8080 for
// all addresses.
func Where(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err == nil && IsEverywhere(address) {
		return "http://*:" + port
	}
	return URL(address)
}
