package standalone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// ServePlugin does the work of a CNI plugin and ends the process, where this program was started as the one that
// BuildNetwork names to BuildKit. Else it does nothing. It is to be the first call of main.
func ServePlugin() {
	name := filepath.Base(os.Args[0])
	verb := os.Getenv("CNI_COMMAND")
	if verb == "" || name != stepPlugin && name != loopbackPlugin {
		return
	}
	p := plugin{container: os.Getenv("CNI_CONTAINERID"), namespace: os.Getenv("CNI_NETNS"), device: os.Getenv("CNI_IFNAME"), loopback: name == loopbackPlugin}
	if err := p.serve(verb, os.Stdin, os.Stdout); err != nil {
		_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"cniVersion": cniVersion, "code": 100, "msg": err.Error()}) // the status says it, too
		os.Exit(1)
	}
	os.Exit(0)
}

// plugin gives one namespace an interface.
type plugin struct {
	container, namespace, device string
	loopback                     bool
	network                      stepNetwork
}

func (p *plugin) serve(verb string, in io.Reader, out io.Writer) error {
	if verb == "VERSION" {
		return json.NewEncoder(out).Encode(map[string]any{"cniVersion": cniVersion, "supportedVersions": []string{"0.3.1", "0.4.0", cniVersion}})
	}
	if err := json.NewDecoder(in).Decode(&p.network); err != nil {
		return fmt.Errorf("reading the network's configuration: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), networkTimeout)
	defer cancel()
	switch {
	case verb == "ADD" && p.loopback:
		return p.addLoopback(ctx, out)
	case verb == "ADD":
		return p.add(ctx, out)
	case verb == "DEL" && !p.loopback:
		return p.remove()
	}
	return nil
}

func (p *plugin) addLoopback(ctx context.Context, out io.Writer) error {
	if err := p.inside(ctx, "link set lo up\n"); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(map[string]any{
		"cniVersion": p.network.Version, "interfaces": []map[string]string{{"name": "lo", "sandbox": p.namespace}},
		"ips": []map[string]any{{"address": "127.0.0.1/8", "interface": 0}},
	})
}

// add joins the namespace to the bridge, with an address that no other has.
func (p *plugin) add(ctx context.Context, out io.Writer) error {
	address, err := p.take()
	if err != nil {
		return err
	}
	peer := fmt.Sprintf("veth%.10s", p.container)
	if err := errors.Join(p.connect(ctx, peer), p.inside(ctx, fmt.Sprintf("link set %[1]s name %[2]s\naddr add %[3]s dev %[2]s\nlink set %[2]s up\nroute add default via %[4]s\n",
		peer+"i", p.device, address, p.network.Gateway))); err != nil {
		return errors.Join(err, p.remove())
	}
	return json.NewEncoder(out).Encode(map[string]any{
		"cniVersion": p.network.Version,
		"interfaces": []map[string]string{{"name": peer}, {"name": p.device, "sandbox": p.namespace}},
		"ips":        []map[string]any{{"address": address.String(), "gateway": p.network.Gateway, "interface": 1}},
	})
}

// connect makes a pair of interfaces, one on the bridge and one in the namespace.
func (p *plugin) connect(ctx context.Context, peer string) error {
	ns, err := os.Open(p.namespace)
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("link add %[1]s type veth peer name %[1]si netns /proc/self/fd/3\nlink set %[1]s master %[2]s\nlink set %[1]s up\n", peer, p.network.Bridge))
	cmd.ExtraFiles = []*os.File{ns}
	return said(cmd)
}

// inside runs commands of ip(8) in the namespace.
func (p *plugin) inside(ctx context.Context, commands string) error {
	ns, err := os.Open(p.namespace)
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	runtime.LockOSThread() // not unlocked: a child begins in the namespace of the thread that made it, which ends with the process
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the namespace of a build step: %w", err)
	}
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(commands)
	return said(cmd)
}

func said(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// take takes an address for the container: the file of its name can be made once.
func (p *plugin) take() (netip.Prefix, error) {
	subnet, err := netip.ParsePrefix(p.network.Subnet)
	if err != nil {
		return subnet, err
	}
	for a := subnet.Addr().Next().Next(); subnet.Contains(a.Next()); a = a.Next() {
		f, err := os.OpenFile(filepath.Join(p.network.Addresses, a.String()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return subnet, err
		}
		_, err = f.WriteString(p.container)
		return netip.PrefixFrom(a, subnet.Bits()), errors.Join(err, f.Close())
	}
	return subnet, fmt.Errorf("all addresses of %s are in use by build steps", p.network.Subnet)
}

// remove gives the container's addresses back. Its interfaces end with its namespace.
func (p *plugin) remove() error {
	entries, err := os.ReadDir(p.network.Addresses)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		file := filepath.Join(p.network.Addresses, e.Name())
		if of, readErr := os.ReadFile(file); readErr == nil && string(of) == p.container {
			err = errors.Join(err, os.Remove(file))
		}
	}
	return err
}
