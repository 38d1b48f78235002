package imagediff

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/imagediff/packagedb"
)

// mostListed bounds the packages that a Diff lists.
const mostListed = 5_000

// The package managers.
const (
	managerDpkg = "dpkg"
	managerApk  = "apk"
	managerRPM  = "rpm"
)

// installed are the packages of an image by manager, in order, and why those of a manager are not known.
type installed struct {
	of      map[string][]packagedb.Package
	unknown map[string][]string
}

// installedOf reads an image's databases.
func (f *files) installedOf(s *side) *installed {
	all := &installed{map[string][]packagedb.Package{}, map[string][]string{}}
	seen := map[*file]bool{} // folders may be links to each other
	read := func(manager, name string, parse func([]byte) ([]packagedb.Package, error)) {
		at, why := s.at(name)
		if at == nil && why == "" || seen[at] && at != nil {
			return
		}
		if at != nil {
			seen[at] = true
			packages, err := parse(at.content)
			if all.of[manager] = append(all.of[manager], packages...); err == nil {
				return
			}
			why = err.Error()
		}
		all.unknown[manager] = append(all.unknown[manager], s.unknown("packages of "+manager, name, why))
	}
	read(managerDpkg, dpkgStatus, packagedb.Dpkg)
	if dir := s.is.find(dpkgFolder); dir.node != nil && dir.node.kind == isFolder {
		for _, name := range slices.Sorted(maps.Keys(dir.node.inside)) {
			if !strings.HasSuffix(name, ".md5sums") {
				read(managerDpkg, dpkgFolder+"/"+name, packagedb.Dpkg)
			}
		}
	}
	for _, name := range apkFiles() {
		read(managerApk, name, packagedb.Apk)
	}
	for _, name := range rpmFiles() {
		read(managerRPM, name, packagedb.RPM)
	}
	for _, dir := range rpmFolders() {
		if at, _ := s.at(dir + "/" + rpmLog); at != nil && at.size > 0 {
			all.unknown[managerRPM] = append(all.unknown[managerRPM], s.unknown("packages of rpm", dir+"/"+rpmLog,
				"the database was not closed when the image was made, and its newest changes are in this log, which is not read"))
		}
	}
	return all
}

// comparePackages puts the packages that differ into a Diff, and returns what is not known.
func (f *files) comparePackages(d *Diff) (unknown []string) {
	a, b := f.installedOf(f.a), f.installedOf(f.b)
	for _, manager := range []string{managerDpkg, managerApk, managerRPM} {
		if u := append(a.unknown[manager], b.unknown[manager]...); len(u) > 0 {
			unknown = append(unknown, u...)
			continue // what the one has of which the other is not known would be told as added or removed
		}
		d.Packages.compare(manager, a.of[manager], b.of[manager])
	}
	return unknown
}

// compare adds how the packages of one manager differ.
func (p *Packages) compare(manager string, from, to []packagedb.Package) {
	was, is := byName(from), byName(to)
	names := maps.Clone(was)
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		gone, came, same := apart(was[name], is[name])
		p.Unchanged += same
		switch {
		case len(gone)+len(came) == 0:
		case len(p.Added)+len(p.Removed)+len(p.Changed) >= mostListed:
			p.Unlisted++
		case len(gone) > 0 && len(came) > 0:
			p.Changed = append(p.Changed, Change{manager, name, gone, came})
		default:
			for _, g := range gone {
				p.Removed = append(p.Removed, Package{manager, g})
			}
			for _, c := range came {
				p.Added = append(p.Added, Package{manager, c})
			}
		}
	}
}

func byName(all []packagedb.Package) map[string][]packagedb.Package {
	out := map[string][]packagedb.Package{}
	for _, p := range all {
		out[p.Name] = append(out[p.Name], p)
	}
	return out
}

// apart are what only one of two lists has, and how many both have. A package may be there more than once.
func apart(from, to []packagedb.Package) (gone, came []packagedb.Package, same int) {
	counts := map[packagedb.Package]int{}
	for _, p := range from {
		counts[p]++
	}
	for _, p := range to {
		if counts[p] > 0 {
			counts[p]--
			same++
		} else {
			came = append(came, p)
		}
	}
	for _, p := range from {
		if counts[p] > 0 {
			counts[p]--
			gone = append(gone, p)
		}
	}
	for _, l := range [][]packagedb.Package{gone, came} {
		slices.SortFunc(l, func(a, b packagedb.Package) int {
			return cmp.Or(strings.Compare(a.Arch, b.Arch), strings.Compare(a.Version, b.Version))
		})
	}
	return gone, came, same
}
