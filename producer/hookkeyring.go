package producer

import (
	"bytes"
	"slices"
	"strings"
)

// keyring finds out whose webhook a request is, by its signature alone.
type keyring struct{ credentials []*credential }

// credential is a key and the pipelines whose webhooks are signed with it.
type credential struct {
	key       *hookKey
	pipelines []*declared
	hints     [][]byte // paths of the pipelines' repositories
}

// newKeyring collects the pipelines that take webhooks of a forge.
func newKeyring(p *Pipelines, forge string) *keyring {
	k := &keyring{}
	for _, d := range p.declared {
		if d.secret == nil || !slices.Contains(d.forges, forge) {
			continue
		}
		for _, key := range d.secret.keys {
			k.add(key, d)
		}
	}
	return k
}

// newRegistryKeyring collects the pipelines whose bases registries may tell of.
func newRegistryKeyring(p *Pipelines) *keyring {
	k := &keyring{}
	for _, d := range p.declared {
		if d.rebuild.secret == nil {
			continue
		}
		for _, key := range d.rebuild.secret.keys {
			k.add(key, d)
		}
	}
	return k
}

// add has webhooks of a pipeline be signed with a key.
func (k *keyring) add(key *hookKey, d *declared) {
	i := slices.IndexFunc(k.credentials, func(c *credential) bool { return bytes.Equal(c.key.text, key.text) })
	if i < 0 {
		k.credentials = append(k.credentials, &credential{key: key})
		i = len(k.credentials) - 1
	}
	c := k.credentials[i]
	if slices.Contains(c.pipelines, d) {
		return
	}
	c.pipelines = append(c.pipelines, d)
	_, path, _ := strings.Cut(string(d.place), "/")
	c.hints = append(c.hints, []byte(path))
}

// verify returns the pipelines whose secret signed body; none when nobody's did. A request may be signed with
// several keys, of several pipelines or of one.
//
// Keys of pipelines whose repository seems to be named in the body are tried first, to save
// time. A wrongly signed request is tried with all of them, whatever it names, so that the time
// its answer takes doesn't tell which repositories are configured.
func (k *keyring) verify(body []byte, p proof) []*declared {
	if len(k.credentials) == 1 {
		if c := k.credentials[0]; p(body, c.key) {
			return c.pipelines
		}
		return nil
	}
	rest := make([]*credential, 0, len(k.credentials))
	var signed []*declared
	for _, c := range k.credentials {
		if !slices.ContainsFunc(c.hints, func(h []byte) bool { return bytes.Contains(body, h) }) {
			rest = append(rest, c)
		} else if p(body, c.key) {
			signed = with(signed, c.pipelines)
		}
	}
	if signed != nil {
		return signed
	}
	for _, c := range rest {
		if p(body, c.key) {
			signed = with(signed, c.pipelines)
		}
	}
	return signed
}

// with is a list with what it doesn't have of another.
func with(list, more []*declared) []*declared {
	for _, d := range more {
		if !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list
}
