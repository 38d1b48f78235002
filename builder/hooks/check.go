package hooks

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
)

// Names are the names that an admin hook can have, in the order in which hooks run.
func Names() []string { return []string{"pre-staging", "post-staging", "pre-running"} }

// MaxSize is the largest hook that is accepted, in bytes. A hook is a script; what is larger
// is something else.
const MaxSize = 128 << 10

// maxFindings bounds the faults, and the warnings, that are reported of one file: what a build
// ends with has to fit into a message.
const maxFindings = 20

// maxStrays bounds the files that are reported for their names.
const maxStrays = 20

// Report is what a check found.
type Report struct {
	Hooks    []string           // hooks that are there, of Names and in its order
	Findings []messages.Finding // by file and line
}

// Rejected tells whether something found keeps the image from being used.
func (r *Report) Rejected() bool {
	return slices.ContainsFunc(r.Findings, func(f messages.Finding) bool { return !f.Warning })
}

// Warnings are the findings with which an image passes.
func (r *Report) Warnings() []messages.Finding {
	var out []messages.Finding
	for _, f := range r.Findings {
		if f.Warning {
			out = append(out, f)
		}
	}
	return out
}

// Check checks the hooks in the folder dir (an absolute path) of an image, as each of users runs them: USER or
// USER:GROUP, by name or number. Where none is named, or as "", it is messages.HookUser where the image has it, else
// the image's own. An image without the
// folder has no hooks, which is fine; a file or a link that leads nowhere in its place is a finding.
// The error is about reading the image, never about what stands in it. The image's ReadDir must not
// follow links, its Stat and ReadFile must follow them within the image; files that are absent give
// errors that are fs.ErrNotExist. It should be an fs.ReadLinkFS, and Configured where it can.
func Check(files fs.FS, dir string, users ...string) (*Report, error) {
	if len(users) == 0 {
		users = []string{""}
	}
	all := new(Report)
	for _, user := range users {
		built, err := newImage(files, user)
		if err != nil {
			return nil, err
		}
		r, err := check(files, strings.TrimPrefix(path.Clean("/"+dir), "/"), path.Clean("/"+dir), built)
		if err = cmp.Or(err, built.err); err != nil {
			return nil, err
		}
		all.Hooks = r.Hooks
		all.Findings = append(all.Findings, r.Findings...)
	}
	all.sort()
	return all, nil
}

// sort orders what was found, and leaves of equal findings the first: each hook may have one about a folder on its way.
func (r *Report) sort() {
	seen := map[messages.Finding]bool{}
	r.Findings = slices.DeleteFunc(r.Findings, func(f messages.Finding) bool {
		had := seen[f]
		seen[f] = true
		return had
	})
	slices.SortStableFunc(r.Findings, func(a, b messages.Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line)
	})
}

// CheckDir checks a folder of hooks on this machine, before there is an image. Who may do what, and
// which programs there are, shows in the image alone, so that is not checked. Files for which left tells
// true never reach the image; left may be nil.
func CheckDir(dir string, left func(name string) bool) (*Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("checking the hooks in %s: %w", dir, err)
	}
	defer func() { _ = root.Close() }()
	return check(without{root.FS(), left}, ".", filepath.ToSlash(dir), nil)
}

// without is a folder without the files that are left out of an image.
type without struct {
	fs.FS
	left func(name string) bool
}

func (w without) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(w.FS, name)
	if w.left != nil && name == "." {
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return w.left(e.Name()) })
	}
	return entries, err
}

// check checks the hooks in dir; shown is how findings call it. built is the image that they are in, nil
// for a folder of this machine.
func check(files fs.FS, dir, shown string, built *image) (*Report, error) {
	r := new(Report)
	if dir == "" {
		dir = "."
	}
	entries, err := fs.ReadDir(files, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir):
		r.Findings, err = unfollowed(files, dir)
		return r, err
	case err != nil:
		return nil, fmt.Errorf("reading the hooks folder %s of the image: %w", shown, err)
	}
	there := map[string]bool{} // names that are taken
	for _, e := range entries {
		there[e.Name()] = true
	}
	strays := 0
	for _, e := range entries {
		h := hook{files: files, name: e.Name(), path: path.Join(dir, e.Name()), file: path.Join(shown, clip(e.Name())), built: built}
		if !slices.Contains(Names(), e.Name()) {
			if strays++; strays <= maxStrays {
				h.stray(e, there)
			}
		} else {
			r.Hooks = append(r.Hooks, e.Name())
			if err := h.check(e); err != nil {
				return nil, err
			}
		}
		r.Findings = append(r.Findings, h.findings...)
	}
	if more := strays - maxStrays; more > 0 {
		r.Findings = append(r.Findings, messages.Finding{
			File: shown, Problem: fmt.Sprintf("has %d more files that are no admin hooks", more), Fix: "keep other files in another folder of the image",
		})
	}
	slices.SortFunc(r.Hooks, func(a, b string) int { return slices.Index(Names(), a) - slices.Index(Names(), b) })
	r.sort()
	return r, nil
}

// unfollowed is about a hooks folder that nothing can be read from: where something stands at
// its place or on the way there, somebody meant the image to have hooks.
func unfollowed(files fs.FS, dir string) ([]messages.Finding, error) {
	for at := dir; at != "."; at = path.Dir(at) {
		entries, err := fs.ReadDir(files, path.Dir(at))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for /%s in the image: %w", at, err)
		}
		i := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return e.Name() == path.Base(at) })
		if i < 0 || entries[i].IsDir() {
			return nil, nil
		}
		f := messages.Finding{File: "/" + at, Problem: "is not a folder", Fix: "make it a folder, for the hooks of the image, or remove it"}
		if entries[i].Type()&fs.ModeSymlink != 0 {
			f.Problem, f.Fix = "is a link that leads to no folder", "link to a folder in the image, or put the folder itself there"
		}
		return []messages.Finding{f}, nil
	}
	return nil, nil
}

// hook is one file of the hooks folder while it is checked.
type hook struct {
	files    fs.FS
	name     string
	path     string // for files
	file     string // for findings
	built    *image // nil before there is one
	findings []messages.Finding
	faults   int // how many there are, with those that are not reported
	warnings int
}

func (h *hook) fault(line int, problem, fix string) {
	h.faults++
	h.found(h.faults, messages.Finding{File: h.file, Line: line, Problem: problem, Fix: fix})
}

func (h *hook) warn(line int, problem, fix string) {
	h.warnings++
	h.found(h.warnings, messages.Finding{File: h.file, Line: line, Problem: problem, Fix: fix, Warning: true})
}

// found notes the count-th finding of its kind, and for the first that is too many only that
// there are more.
func (h *hook) found(count int, f messages.Finding) {
	if count > maxFindings+1 {
		return
	}
	if count == maxFindings+1 {
		f.Problem, f.Fix = "has more like this from here on, which are not listed", "mend those that are, and build again"
	}
	h.findings = append(h.findings, f)
}

// stray is about a file with none of the three names: nothing would ever run it. The first that is near to
// a name that is free should have it.
func (h *hook) stray(e fs.DirEntry, there map[string]bool) {
	names := Names()
	if e.IsDir() {
		h.fault(0, "is a folder: the hooks folder has hooks alone", "put what is in it into another folder of the image, or leave it out by .dockerignore")
		return
	}
	fix := "remove it, or leave it out of the image by .dockerignore"
	if near := nearest(h.name); near != "" && there[near] {
		fix += fmt.Sprintf(": %s is there", near)
	} else if near != "" {
		there[near] = true
		fix = fmt.Sprintf("rename it to %s", near)
	}
	h.fault(0, fmt.Sprintf("is not the name of an admin hook: those are %s, %s and %s", names[0], names[1], names[2]), fix)
}

// check checks a file that has the name of a hook. The error is about reading it.
func (h *hook) check(e fs.DirEntry) error {
	is, err := h.stat(e)
	if err != nil || is == nil {
		return err
	}
	h.rights(is)
	if is.Size() > MaxSize {
		h.fault(0, fmt.Sprintf("has %d bytes: a hook may have %d", is.Size(), MaxSize), "put what it carries into files of their own")
		return nil
	}
	content, err := fs.ReadFile(h.files, h.path)
	if err != nil {
		return fmt.Errorf("reading the hook %s of the image: %w", h.file, err)
	}
	h.content(content)
	return nil
}

// rights checks that who runs the hook may: read it and execute it, and enter every folder on the way.
func (h *hook) rights(is fs.FileInfo) {
	if is.Mode().Perm()&0o111 == 0 {
		h.fault(0, "is not executable", fmt.Sprintf("run chmod 755 %s before you add it (git update-index --chmod=+x in a repository), or copy it with COPY --chmod=755", h.name))
		return
	}
	if h.built == nil {
		return
	}
	user := &h.built.user
	at := h.built.follow(h.path, user)
	if at.closed != "" {
		h.closed(at.closed)
	}
	if at.is != nil && !user.may(at.is, mayRead|mayExecute) {
		h.fault(0, fmt.Sprintf("can't be read and executed by %s, who runs it (%s)", user.name, describe(at.is)),
			fmt.Sprintf("copy it with COPY --chmod=755, or RUN chmod 755 /%s in the Dockerfile", clip(at.real)))
	}
}

// closed is about a folder on the way to what is needed.
func (h *hook) closed(dir string) {
	shown := clip(path.Join("/", dir))
	h.faults++
	h.found(h.faults, messages.Finding{
		File: shown, Problem: fmt.Sprintf("can't be entered by %s, who runs the hooks (%s)", h.built.user.name, describe(h.built.lstat(dir))),
		Fix: fmt.Sprintf("RUN chmod 755 %s in the Dockerfile", shown),
	})
}

// stat returns what a hook's file is, nil when it is nothing that could run. A link counts
// as what it leads to within the image.
func (h *hook) stat(e fs.DirEntry) (fs.FileInfo, error) {
	if e.Type()&fs.ModeSymlink == 0 {
		if !e.Type().IsRegular() {
			h.fault(0, "is not a regular file", "make it a plain script")
			return nil, nil
		}
		is, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("reading the hook %s of the image: %w", h.file, err)
		}
		return is, nil
	}
	is, err := fs.Stat(h.files, h.path)
	// A folder on this machine refuses links that lead out of it, whatever is there.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || h.built == nil && err != nil {
		h.fault(0, "is a link that leads nowhere", "put the script itself there, or a link to a file in the image")
		is, err = nil, nil
	}
	switch {
	case is == nil && err == nil:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading the hook %s of the image: %w", h.file, err)
	case !is.Mode().IsRegular():
		h.fault(0, "is a link to something that is not a regular file", "link to a plain script, or put the script itself there")
		return nil, nil
	}
	return is, nil
}

// nearest is the name of a hook that somebody may have meant, or "".
func nearest(name string) string {
	name = strings.TrimRight(name, "~#") // as editors name what they keep
	plain := strings.ToLower(strings.TrimSuffix(name, path.Ext(name)))
	plain = strings.NewReplacer("_", "-", " ", "-", ".", "-").Replace(plain)
	return suggest.Nearest(plain, Names())
}

// clip makes a name from an image fit for a line of text.
func clip(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, messages.Shorten(s, 80))
}
