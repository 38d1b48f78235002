package producer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/statuses/target"
)

// The pipeline file is read again when it, or a file that it names, has changed. All of it comes into force, or
// nothing: while it has a mistake, the pipelines that were read before stay.
//
// Files are looked at from time to time rather than watched by the kernel, which has limits of its own for
// that, and tells nothing of some file systems.

// DefaultLookInterval is the time between looks where none is configured.
const DefaultLookInterval = 2 * time.Second

// inForce is what webhooks and calls are held against.
type inForce struct {
	pipelines  *Pipelines
	keys       map[string]*keyring // by forge
	registries *keyring
}

// force has webhooks and calls that come from here on held against p. Those under way go on as they began, and what
// is stored keeps the pipeline that it has: a request is self-contained.
func (p *Producer) force(pipelines *Pipelines) {
	f := &inForce{pipelines: pipelines, keys: map[string]*keyring{}, registries: newRegistryKeyring(pipelines)}
	for _, name := range forgeNames() {
		f.keys[name] = newKeyring(pipelines, name)
	}
	p.inForce.Store(f)
	p.file.taken(pipelines, p.now())
}

// watchedFile is what is known of the pipeline file.
type watchedFile struct {
	interval time.Duration
	asked    chan struct{} // has one when it is to be read at once
	told     chan struct{} // has one when it was read

	lock  sync.Mutex
	state FileState
}

// FileState is what a producer knows of its pipeline file. It has no secrets, and nothing of their
// files but what a person sees in errors.
type FileState struct {
	Path      string          `json:"path" doc:"the pipeline file, or the folder of them"`
	Pipelines []string        `json:"pipelines" doc:"the names of the pipelines in force, in the order of the file"`
	Digest    string          `json:"digest" doc:"a digest of what they say: it is the same for producers that do the same"`
	Loaded    time.Time       `json:"loaded" doc:"when they were read"`
	Error     string          `json:"error,omitempty" doc:"why the file can't be used as it is; those that were read before are in force"`
	Since     time.Time       `json:"since,omitzero" doc:"when a look first found that error"`
	Schedules []ScheduleState `json:"schedules,omitempty" doc:"the schedules of the pipelines in force, in the order of the file"`

	Certificate *CertificateState `json:"certificate,omitempty" doc:"the certificate that the producer's server shows, if any"`
}

func (w *watchedFile) begin(interval time.Duration) {
	if interval == 0 {
		interval = DefaultLookInterval
	}
	w.interval, w.asked, w.told = interval, make(chan struct{}, 1), make(chan struct{}, 1)
}

// taken tells that pipelines are in force.
func (w *watchedFile) taken(p *Pipelines, now time.Time) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.state = FileState{Path: p.path, Pipelines: p.names(), Digest: p.digest(), Loaded: now.UTC()}
	w.tell()
}

// tell has whoever tells of the file look at it.
func (w *watchedFile) tell() {
	select {
	case w.told <- struct{}{}:
	default: // it is to look already
	}
}

// refused tells that the file can't be used, and whether that is news.
func (w *watchedFile) refused(err error, now time.Time) bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	news := w.state.Error != err.Error()
	if w.state.Error == "" {
		w.state.Since = now.UTC()
	}
	w.state.Error = err.Error()
	w.tell()
	return news
}

// digest is that of what the pipelines say.
func (p *Pipelines) digest() string {
	beside := make([]saidBeside, len(p.declared))
	for i, d := range p.declared {
		beside[i] = d.beside()
	}
	b, err := json.Marshal([]any{p.All(), p.scheduled(), beside})
	if err != nil {
		return "" // can't be: they are messages
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// saidBeside is what a pipeline says that no request carries, but for its schedules: what leads to its builds, and where they
// are told of. Of secrets it has that there are any.
type saidBeside struct {
	Paths         []string
	SkipCI        bool
	Webhooks      []string
	Poll          messages.Duration
	Base, Image   bool // rebuild_on
	Every, Settle messages.Duration
	Notified      bool
	Status        *target.Target
}

func (d *declared) beside() saidBeside {
	r, status := d.rebuild, d.status
	if status != nil { // its files have other paths on other machines
		told := *status
		told.TokenFile, told.CAFile = "", ""
		status = &told
	}
	return saidBeside{d.pathList, d.skipCI, d.forges, d.poll, r.base, r.pipeline, r.interval, r.settle, r.secret != nil, status}
}

// File is what the producer knows of its pipeline file.
func (p *Producer) File() FileState {
	schedules := p.Schedules()
	p.file.lock.Lock()
	defer p.file.lock.Unlock()
	s := p.file.state
	s.Pipelines, s.Schedules = slices.Clone(s.Pipelines), schedules
	if p.certificate != nil {
		c := p.certificate.State()
		s.Certificate = &c
	}
	return s
}

// Reload has the pipeline file, and the certificate, read again at once, whether they seem to have changed or not. Run does it.
func (p *Producer) Reload() {
	if p.certificate != nil {
		p.certificate.Reload()
	}
	select {
	case p.file.asked <- struct{}{}:
	default: // it is asked for already
	}
}

// followFile reads the pipeline file again whenever it changed, until ctx ends. A change counts once a second look
// finds the same, so that a file half written is not read.
func (p *Producer) followFile(ctx context.Context) {
	f := p.follower()
	if f.path == "" {
		return // the pipelines are of no file
	}
	tick := time.NewTicker(p.file.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.look(false)
		case <-p.file.asked:
			f.look(true)
		}
	}
}

// follower is what is known of the files that a load read.
type follower struct {
	*Producer
	path       string
	read, last map[string]stamp // as they were when they were read, and at the last look
}

func (p *Producer) follower() *follower {
	from := p.inForce.Load().pipelines
	return &follower{p, from.path, from.read, from.read}
}

// look reads the file again where it has changed and rests, or where that is asked for.
func (f *follower) look(asked bool) {
	now := look(f.last)
	rests := sameFiles(now, f.last)
	f.last = now
	if asked || rests && !sameFiles(now, f.read) {
		f.read = f.reload(f.path)
		f.last = f.read
	}
}

// reload reads the pipeline file, and has it come into force if it can be used. It returns what was read.
func (p *Producer) reload(path string) map[string]stamp {
	next, err := LoadPipelines(path)
	p.metrics.Loaded(err == nil)
	if err != nil {
		if p.file.refused(err, p.now()) {
			p.log.Error().Err(err).Str("file", path).Msg("the pipeline file can't be used as it is: the pipelines that were read before stay in force")
		}
		return next.read
	}
	for _, w := range next.Warnings() {
		p.log.Warn().Msg(w.String())
	}
	added, changed, removed := next.since(p.inForce.Load().pipelines)
	p.force(next)
	p.log.Info().Str("file", path).Strs("added", added).Strs("changed", changed).Strs("removed", removed).Msg("the pipeline file was read again")
	for _, changed := range []chan struct{}{p.changed, p.schedules.changed} {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	if p.bases != nil {
		p.bases.changed()
	}
	return next.read
}

// since names the pipelines that are new, say something else, and are gone.
func (p *Pipelines) since(before *Pipelines) (added, changed, removed []string) {
	for _, d := range p.declared {
		switch old, ok := before.byName[d.pipeline.Name]; {
		case !ok:
			added = append(added, d.pipeline.Name)
		case !d.buildsAs(old) || !d.takesAs(old) || !d.comesAs(old):
			changed = append(changed, d.pipeline.Name)
		}
	}
	for _, d := range before.declared {
		if _, ok := p.byName[d.pipeline.Name]; !ok {
			removed = append(removed, d.pipeline.Name)
		}
	}
	return added, changed, removed
}

// servePipelines serves GET /v1/pipelines.
func (p *Producer) servePipelines(w http.ResponseWriter, r *http.Request) {
	who, no := p.authorise(r)
	if no != nil {
		no.write(w)
		return
	}
	keep(r.Context())
	noteOf(r.Context()).call.By = "token " + who
	writeJSON(w, http.StatusOK, p.File())
}
