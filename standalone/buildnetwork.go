package standalone

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// BuildNetwork is a network for RUN steps alone: each has a namespace of its own, behind a bridge of this machine.
// They reach what it reaches, under its address, but not its loopback. BuildKit's own pulls and fetches are no steps.
type BuildNetwork struct {
	dir string // has the configuration of it, the plugin, and the addresses in use
	stepNetwork
}

// stepNetwork is what the plugin is told, by the CNI configuration that BuildKit passes on (https://www.cni.dev/docs/spec/).
type stepNetwork struct {
	Version   string `json:"cniVersion"`
	Name      string `json:"name"`
	Type      string `json:"type"`
	Bridge    string `json:"bridge"`
	Subnet    string `json:"subnet"`
	Gateway   string `json:"gateway"`
	Addresses string `json:"addresses"` // folder with a file for each address in use
}

const (
	cniVersion = "1.0.0"
	// stepPlugin and loopbackPlugin are the names by which BuildKit calls this program as its plugin.
	stepPlugin     = "fenceline-step"
	loopbackPlugin = "loopback"
	// stepNamespaces is how many namespaces are kept ready, so that a step needn't wait for one.
	stepNamespaces = 4
	networkTimeout = 20 * time.Second
	forwarding     = "/proc/sys/net/ipv4/ip_forward"
)

// MakeBuildNetwork makes one over a folder, after it has taken away what a killed process left of the last.
// program is this program, which has to call ServePlugin when it starts. The error says what the machine lacks.
func MakeBuildNetwork(ctx context.Context, dir, program string) (*BuildNetwork, error) {
	ctx, cancel := context.WithTimeout(ctx, networkTimeout)
	defer cancel()
	n := &BuildNetwork{dir: dir, stepNetwork: stepNetwork{
		Version: cniVersion, Name: "fenceline", Type: stepPlugin,
		Bridge: fmt.Sprintf("fl%x", sha256.Sum256([]byte(dir)))[:12], Addresses: filepath.Join(dir, "addresses"),
	}}
	for _, needed := range []string{"ip", "iptables"} {
		if _, err := exec.LookPath(needed); err != nil {
			return nil, fmt.Errorf("making a network for build steps: %w: install it (Debian: iproute2, iptables)", err)
		}
	}
	if err := n.forget(ctx); err != nil {
		return nil, err
	}
	taken, err := takenNetworks()
	if err != nil {
		return nil, err
	}
	subnet, err := freeSubnet(n.Bridge, taken)
	if err != nil {
		return nil, err
	}
	n.Subnet, n.Gateway = subnet.String(), subnet.Addr().Next().String()
	if err := n.write(program); err != nil {
		return nil, err
	}
	if err := n.join(ctx); err != nil {
		return nil, errors.Join(err, n.Remove())
	}
	return n, nil
}

// write puts down what BuildKit reads.
func (n *BuildNetwork) write(program string) error {
	plugins := filepath.Join(n.dir, "plugins")
	err := errors.Join(os.RemoveAll(plugins), os.RemoveAll(n.Addresses))
	for _, dir := range []string{plugins, n.Addresses} {
		err = errors.Join(err, os.MkdirAll(dir, 0o700))
	}
	for _, name := range []string{stepPlugin, loopbackPlugin} {
		err = errors.Join(err, os.Symlink(program, filepath.Join(plugins, name)))
	}
	if err != nil {
		return fmt.Errorf("making a network for build steps: %w", err)
	}
	config, err := json.Marshal(n.stepNetwork)
	if err != nil {
		return err
	}
	return WriteFile(n.config(), config, 0o600)
}

func (n *BuildNetwork) config() string { return filepath.Join(n.dir, "network.conf") }

// settings are those of buildkitd, in TOML.
func (n *BuildNetwork) settings() string {
	return fmt.Sprintf("networkMode = \"cni\"\ncniConfigPath = %q\ncniBinaryPath = %q\ncniPoolSize = %d\n", n.config(), filepath.Join(n.dir, "plugins"), stepNamespaces)
}

// rules are those of the machine's packet filter: steps go out under its address, and answers come back. Engines that
// forbid forwarding by default leave those before theirs alone.
func (n *BuildNetwork) rules() [][]string {
	mark := []string{"-m", "comment", "--comment", n.Bridge}
	return [][]string{
		append([]string{"-t", "nat", "POSTROUTING", "-s", n.Subnet, "!", "-o", n.Bridge}, append(mark, "-j", "MASQUERADE")...),
		append([]string{"-t", "filter", "FORWARD", "-i", n.Bridge}, append(mark, "-j", "ACCEPT")...),
		append([]string{"-t", "filter", "FORWARD", "-o", n.Bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"}, append(mark, "-j", "ACCEPT")...),
	}
}

// join makes the bridge and has the machine pass on what comes from it.
func (n *BuildNetwork) join(ctx context.Context) error {
	bits := n.Subnet[strings.Index(n.Subnet, "/"):]
	for _, args := range [][]string{
		{"link", "add", n.Bridge, "type", "bridge"},
		{"addr", "add", n.Gateway + bits, "dev", n.Bridge},
		{"link", "set", n.Bridge, "up"},
	} {
		if err := command(ctx, "ip", args...); err != nil {
			return err
		}
	}
	if on, err := os.ReadFile(forwarding); err != nil || strings.TrimSpace(string(on)) != "1" {
		if err := os.WriteFile(forwarding, []byte("1"), 0o644); err != nil {
			return fmt.Errorf("letting this machine forward what build steps send: %w", err)
		}
	}
	for _, r := range n.rules() {
		if err := command(ctx, "iptables", insert("-I", r)...); err != nil {
			return err
		}
	}
	return nil
}

// insert makes a command of a rule: -t TABLE -I CHAIN ….
func insert(verb string, rule []string) []string {
	return append([]string{"-w", "10", rule[0], rule[1], verb}, rule[2:]...)
}

// Remove takes it away again.
func (n *BuildNetwork) Remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), networkTimeout)
	defer cancel()
	var errs []error
	for _, r := range n.rules() {
		for command(ctx, "iptables", insert("-C", r)...) == nil { // once for each time it was made
			if err := command(ctx, "iptables", insert("-D", r)...); err != nil {
				errs = append(errs, err)
				break
			}
		}
	}
	if command(ctx, "ip", "link", "show", n.Bridge) == nil {
		errs = append(errs, command(ctx, "ip", "link", "del", n.Bridge))
	}
	return errors.Join(errs...)
}

// forget removes what a process that was killed left of the network, as its configuration says.
func (n *BuildNetwork) forget(ctx context.Context) error {
	left := &BuildNetwork{dir: n.dir}
	b, err := os.ReadFile(n.config())
	if err == nil && json.Unmarshal(b, &left.stepNetwork) == nil && left.Bridge == n.Bridge {
		return left.Remove()
	}
	if command(ctx, "ip", "link", "show", n.Bridge) == nil {
		return command(ctx, "ip", "link", "del", n.Bridge)
	}
	return nil
}

// command runs a program of the machine. The error has what it said.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // which killed it
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// takenNetworks are those that this machine has routes to.
func takenNetworks() ([]netip.Prefix, error) {
	out, err := exec.Command("ip", "-4", "route", "show", "table", "all").Output()
	if err != nil {
		return nil, fmt.Errorf("reading the machine's routes: %w", err)
	}
	var taken []netip.Prefix
	for _, word := range strings.Fields(string(out)) {
		if p, err := netip.ParsePrefix(word); err == nil {
			taken = append(taken, p)
		} else if a, err := netip.ParseAddr(word); err == nil {
			taken = append(taken, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return taken, nil
}

// freeSubnet returns 256 private addresses that nothing of taken overlaps. Where to begin comes from the name, so that
// several on one machine seldom try the same.
func freeSubnet(name string, taken []netip.Prefix) (netip.Prefix, error) {
	from := sha256.Sum256([]byte(name))
	for i := range 256 * 32 {
		at := (int(from[0])<<8 + int(from[1]) + i) % (256 * 32)
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(192 + at/256), byte(at % 256), 0}), 24)
		if !overlapsAny(p, taken) {
			return p, nil
		}
	}
	return netip.Prefix{}, errors.New("making a network for build steps: this machine has routes to all of 10.192.0.0/11: there are no addresses left for one")
}

func overlapsAny(p netip.Prefix, taken []netip.Prefix) bool {
	for _, t := range taken {
		if t.Bits() > 0 && t.Overlaps(p) {
			return true
		}
	}
	return false
}
