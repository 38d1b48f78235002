package settings

import (
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/console"
	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/apply"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/reach"
	"github.com/fenceline/fenceline/standalone"
	"github.com/spf13/pflag"
)

// RunProducer is what `fenceline run producer` is told.
type RunProducer struct {
	Run
	Producer
}

// Add adds its flags.
func (r *RunProducer) Add(fs *pflag.FlagSet) {
	r.Run.Add(fs)
	r.Producer.Add(fs)
	r.Registries.Add(fs)
	FolderVar(fs, &r.DockerConfig, "docker-config", "", "folder of the config.json with the registries' logins")
	Explain(fs, "docker-config", "As docker login writes it; read when a registry is asked for a base, which takes no right but to pull.")
	Explain(fs, "registry-ca-file", "In PEM; read at the start. It is for what the producer asks registries, whether a base has changed.")
	Explain(fs, "registry-plain-http", "As images' names have it. One on a loopback or private address needs none.")
	FileVar(fs, &r.TokenFile, "token-file", "", "file with the token for calls; without it there are none")
}

// RunBuilder is what `fenceline run builder` is told.
type RunBuilder struct {
	Run
	Builder
}

// Add adds its flags.
func (r *RunBuilder) Add(fs *pflag.FlagSet) {
	r.Run.Add(fs)
	r.Builder.Add(fs)
	fs.StringVar(&r.Name, "name", HostLabel(), "this builder's name, in records and events")
	fs.StringVar(&r.Buildkit, "buildkit", DefaultBuildkit, "address of the buildkitd")
	FolderVar(fs, &r.DockerConfig, "docker-config", "", "folder of the config.json with the registries' logins")
	Explain(fs, "docker-config", "As docker login writes it; read at each build. The programs of its credential helpers must be installed.")
	DefaultsTo(fs, "name", "the host's name")
}

// RunController is what `fenceline run controller` is told.
type RunController struct {
	Run
	Layout
	Controller
}

// Add adds its flags.
func (r *RunController) Add(fs *pflag.FlagSet) {
	r.Run.Add(fs)
	r.Layout.Add(fs)
	r.Controller.Add(fs)
	fs.StringVar(&r.Name, "name", HostLabel()+"-"+messages.NewID(), "this controller's name, different from all others")
	DefaultsTo(fs, "name", "the host's name and something random")
}

// RunDistributor is what `fenceline run distributor` is told.
type RunDistributor struct {
	Run
	Distributor
}

// Add adds its flags.
func (r *RunDistributor) Add(fs *pflag.FlagSet) {
	r.Run.Add(fs)
	r.Distributor.Add(fs)
	FolderVar(fs, &r.DockerConfig, "docker-config", "", "folder of the config.json with the registries' logins for pulls")
	Explain(fs, "docker-config", "As docker login writes it; read at each pull. Credential helpers are refused.")
}

// RunStatuses is what `fenceline run statuses` is told.
type RunStatuses struct {
	Run
	PipelineFiles // whose status sections say whom to tell
	Name          string
}

// Add adds its flags.
func (r *RunStatuses) Add(fs *pflag.FlagSet) {
	r.Run.Add(fs)
	r.PipelineFiles.Add(fs)
	fs.StringVar(&r.Name, "name", HostLabel()+"-"+messages.NewID(), "this worker's name, different from all others")
	DefaultsTo(fs, "name", "the host's name and something random")
	Explain(fs, "config", "The producer's own, whose status sections and sinks say whom to tell; the files of webhooks' secrets are not read. Read again when it changes; the files of tokens, and of sinks, are read for each status and event.")
}

// RunConsole is what `fenceline run console` is told.
type RunConsole struct {
	Run
	Listener
	Console
}

// Add adds its flags.
func (r *RunConsole) Add(fs *pflag.FlagSet) {
	r.Run.Add(fs)
	r.Listener.Add(fs, "the pages", DefaultConsole)
	r.Console.Add(fs)
	r.Registries.Add(fs)
	FolderVar(fs, &r.DockerConfig, "docker-config", "", "folder of the config.json with the registries' logins")
	Explain(fs, "docker-config", "As docker login writes it; read when images are compared, which takes no right but to pull.")
	Explain(fs, "registry-ca-file", "In PEM; read at the start. It is for images that are compared.")
	Explain(fs, "registry-plain-http", "As images' names have it. One on a loopback or private address needs none.")
	Explain(fs, "listen", "Where a proxy ends HTTPS it has to pass on X-Forwarded-Proto, and streams as they come. unix:/PATH is a Unix socket for one on this machine; systemd takes the one socket of a socket unit.")
}

// Check refuses a console that nobody could sign in to.
func (r *RunConsole) Check() error {
	if r.TokensFile == "" && !r.OIDC.Wanted() {
		return Usagef("nobody could sign in: name the file of tokens with --console-tokens-file, or an OpenID Connect provider with --oidc-issuer-url, or both")
	}
	return nil
}

// DefaultConsole is where a console is served that was told nothing else.
const DefaultConsole = "127.0.0.1:8448"

// Console configures a console.
type Console struct {
	TokensFile   string // "" for no tokens
	SessionTime  time.Duration
	OIDC         OIDC
	DockerConfig string // for images that are compared
	Registries
}

// Add adds the flags that `run` and `up` have for it.
func (c *Console) Add(fs *pflag.FlagSet) {
	FileVar(fs, &c.TokensFile, "console-tokens-file", "", "file of the tokens by which people sign in to the console, as 'fenceline console token' writes it")
	SpanVar(fs, &c.SessionTime, "session-time", console.DefaultSessionTime, "how long a person stays signed in to the console, at most")
	Explain(fs, "console-tokens-file", "It has no token, only digests. It is read again when it has changed: whoever was struck from it is signed out. One that is not there has no tokens yet.")
	c.OIDC.Add(fs)
}

// Up is what `fenceline up` is told: its own, and the settings of all roles.
type Up struct {
	State, NATSListen, RegistryListen, Buildkitd, Runc, Prefix string

	StepNetwork     string // of standalone.StepNetwork
	StepMemoryBytes int64
	StepProcesses   int

	ConsoleListen string // "" for no console

	NodeTTL      time.Duration
	Grace        time.Duration
	HealthListen string
	Verbose      bool
	Console      Console
	Producer     Producer
	Builder      Builder
	Controller   Controller
	Distributor  Distributor
}

// Add adds its flags.
func (u *Up) Add(fs *pflag.FlagSet) {
	FolderVar(fs, &u.State, "state", StateFolder(), "state folder [$"+StateVariable+"]")
	fs.StringVar(&u.NATSListen, "nats-listen", "127.0.0.1:8442", "HOST:PORT of the NATS server; port 0 takes a free one")
	fs.StringVar(&u.RegistryListen, "registry-listen", "127.0.0.1:8441", "HOST:PORT of the registry; port 0 takes a free one")
	fs.StringVar(&u.ConsoleListen, "console-listen", DefaultConsole, "HOST:PORT of the console; port 0 takes a free one; \"\" for no console")
	Explain(fs, "console-listen", "With --tls-cert-file it is HTTPS, too.")
	pathVar(fs, kindProgram, &u.Buildkitd, "buildkitd", "", "a buildkitd to start, or the address of one that runs (default: from the state folder's bin, or $PATH)")
	pathVar(fs, kindProgram, &u.Runc, "runc", "", "the runc of that buildkitd (default: as for --buildkitd)")
	fs.StringVar(&u.StepNetwork, "step-network", string(standalone.NetworkAuto), "network of RUN steps: auto, own or host")
	fs.Int64Var(&u.StepMemoryBytes, "step-memory-bytes", standalone.DefaultMemory(), "memory that all RUN steps may use together; 0 for no bound")
	fs.IntVar(&u.StepProcesses, "step-processes", standalone.DefaultProcesses, "processes and threads that all RUN steps may have together; 0 for no bound")
	DefaultsTo(fs, "step-memory-bytes", "three quarters of the machine's")
	Explain(fs, "step-network", "With a network of their own steps reach what this machine reaches, but not its loopback. "+
		"auto is own where the machine can give them one, which takes ip and iptables, else host, with a warning.")
	prefixVar(fs, &u.Prefix, "prefix of subjects, streams and buckets (default \""+messages.DefaultPrefix+"\")")
	nodeTTLVar(fs, &u.NodeTTL)
	graceVar(fs, &u.Grace)
	healthListenVar(fs, &u.HealthListen)
	fs.BoolVarP(&u.Verbose, "verbose", "v", false, "log more")
	DefaultsTo(fs, "state", ".fenceline")
	AddFile(fs)
	u.Producer.Add(fs)
	u.Console.Add(fs)
	DefaultsTo(fs, "console-tokens-file", "console-tokens in the state folder")
	u.Builder.Add(fs)
	u.Controller.Add(fs)
	u.Distributor.Add(fs)
}

// Run is what every role that runs by itself is told.
type Run struct {
	NATS
	HealthListen string
	Grace        time.Duration // for what is under way when it is told to stop
	Verbose      bool
}

// Add adds its flags.
func (r *Run) Add(fs *pflag.FlagSet) {
	r.NATS.Add(fs)
	prefixVar(fs, &r.Prefix, "prefix of subjects, streams and buckets (default \""+messages.DefaultPrefix+"\")")
	fs.StringVar(&r.InboxPrefix, "inbox-prefix", "", "prefix of the inboxes that the NATS user may read (default: as 'fenceline init' grants it)")
	healthListenVar(fs, &r.HealthListen)
	graceVar(fs, &r.Grace)
	fs.BoolVarP(&r.Verbose, "verbose", "v", false, "log more")
	Need(fs, "nats")
	Explain(fs, "password-file", "Whoever the role runs as must be able to read it, and nobody else.")
	Explain(fs, "cert-file", "In PEM; read at each connection.")
	Explain(fs, "key-file", "In PEM, without a passphrase; read at each connection.")
	AddFile(fs)
}

// healthListenVar is the flag of where a process answers about itself.
func healthListenVar(fs *pflag.FlagSet, listen *string) {
	fs.StringVar(listen, "health-listen", "", "HOST:PORT that serves /healthz, /readyz and /metrics; without it there are no metrics")
	Explain(fs, "health-listen", "Anyone who reaches it may ask, and learns the names of pipelines, fleets and streams: have it reached by Prometheus alone.")
}

// NATS says how NATS is reached.
type NATS struct {
	URL, User, PasswordFile, CredentialsFile string
	CAFile, CertFile, KeyFile                string
	Prefix                                   string // of subjects, streams and buckets
	InboxPrefix                              string // of the inboxes that the user may read; "" for that of init's users
}

// Add adds the flags that every way to NATS has.
func (n *NATS) Add(fs *pflag.FlagSet) {
	fs.StringVar(&n.URL, "nats", "", "NATS server, nats://HOST:PORT (several, comma-separated, for a cluster)")
	fs.StringVar(&n.User, "user", "", "NATS user")
	FileVar(fs, &n.PasswordFile, "password-file", "", "file with the NATS user's password")
	FileVar(fs, &n.CredentialsFile, "credentials-file", "", "NATS .creds file, instead of user and password")
	FileVar(fs, &n.CAFile, "ca-file", "", "certificate authority of the NATS server, in place of the system's")
	FileVar(fs, &n.CertFile, "cert-file", "", "certificate that the NATS server asks of its clients")
	FileVar(fs, &n.KeyFile, "key-file", "", "private key of that certificate")
}

// Layout sizes the streams and buckets that a role declares.
type Layout struct {
	Replicas int
	NodeTTL  time.Duration
	AckWait  time.Duration
}

// Add adds its flags.
func (l *Layout) Add(fs *pflag.FlagSet) {
	numberVar(fs, &l.Replicas, "replicas", 0, 0, "copies of each stream and bucket in a NATS cluster (default 1)")
	nodeTTLVar(fs, &l.NodeTTL)
	SpanVar(fs, &l.AckWait, "ack-wait", 0, "how long a build stays with a builder that went silent (default 30s)")
}

// nodeTTLVar is the flag of how long heartbeats are kept.
func nodeTTLVar(fs *pflag.FlagSet, ttl *time.Duration) {
	SpanVar(fs, ttl, "node-ttl", 0, "how long a node's last heartbeat is kept (default 30s)")
	Explain(fs, "node-ttl", "Twice the longest interval of the nodes or more: a node with a longer interval is refused.")
}

// Producer configures a producer.
type Producer struct {
	PipelineFiles
	Listener
	TokenFile       string
	TokensDir       string
	SecretsDir      string
	DockerConfig    string
	RepositoryLimit int
	Registries
	Reach reach.Rules // what may be cloned from
}

// Add adds the flags that `run` and `up` have for it.
func (p *Producer) Add(fs *pflag.FlagSet) {
	p.PipelineFiles.Add(fs)
	p.Listener.Add(fs, "webhooks and calls", "127.0.0.1:8440")
	FolderVar(fs, &p.TokensDir, "tokens-dir", "", "folder with a file for each caller, which has its token and is called after it")
	numberVar(fs, &p.RepositoryLimit, "repository-limit", producer.DefaultRepositoryLimit, 0, "builds a second that may be asked for of one repository in the long run; 0 for any number")
	Explain(fs, "repository-limit", "As many as in 50 seconds may come at once. A webhook beyond it is answered 429 with the time to wait, and nothing of it is stored.")
	secretsDirVar(fs, &p.SecretsDir)
	addReach(fs, &p.Reach)
}

// secretsDirVar is the flag of the folder of secrets, which is one where a producer and a builder
// are told together.
func secretsDirVar(fs *pflag.FlagSet, dir *string) {
	if fs.Lookup("secrets-dir") == nil {
		FolderVar(fs, dir, "secrets-dir", "", "folder with the files of the secrets that pipelines name")
	}
}

// DefaultBuildkit is where a buildkitd listens that was told nothing else.
const DefaultBuildkit = "unix:///run/buildkit/buildkitd.sock"

// Builder configures a builder.
type Builder struct {
	Name         string
	Buildkit     string // address of the buildkitd
	DockerConfig string
	SecretsDir   string
	Slots        int
	AckWait      time.Duration
	Reach        reach.Rules  // what may be cloned from, and what Dockerfiles may lead to
	Room         func() error // of the buildkitd's disk, where that is known: no setting
	Afresh       func()       // starts that buildkitd again: no setting
	Registries
}

// Add adds the flags that `run` and `up` have for it.
func (b *Builder) Add(fs *pflag.FlagSet) {
	numberVar(fs, &b.Slots, "slots", 1, 1, "builds at one time")
	SpanVar(fs, &b.AckWait, "ack-wait", builds.DefaultAckWait, "how long a build stays with a builder that went silent")
	Explain(fs, "ack-wait", "It is one for the installation: give all builders the same, and the controllers, whose word counts where a builder's user may not change it.")
	secretsDirVar(fs, &b.SecretsDir)
	addReach(fs, &b.Reach)
	b.Registries.Add(fs)
}

// Registries says how registries are spoken to.
type Registries struct {
	CAFile    string
	PlainHTTP []string // those without TLS, HOST:PORT
}

// Add adds its flags.
func (r *Registries) Add(fs *pflag.FlagSet) {
	FileVar(fs, &r.CAFile, "registry-ca-file", "", "certificate authorities of registries, beside the system's")
	fs.StringSliceVar(&r.PlainHTTP, "registry-plain-http", nil, "registry that speaks plain HTTP, HOST:PORT; may be given several times")
	Explain(fs, "registry-ca-file", "In PEM; read at the start. It is for what the builder asks registries itself, tags and whether a base exists: "+
		"pulls and pushes are buildkitd's, whose buildkitd.toml says the same (ca).")
	Explain(fs, "registry-plain-http", "As images' names have it. One on a loopback or private address needs none. "+
		"It is for what the builder asks registries itself, as above; in buildkitd.toml it is http = true.")
}

// Controller configures a controller.
type Controller struct {
	Name     string
	LeaseTTL time.Duration // 0 means one for the kind of fence config
	Fence    backends.Config
}

// katoLease is the default lease of controllers whose fence configs are read and set by kato, which takes
// seconds to start, three times for one change.
const katoLease = 20 * time.Second

// Lease is LeaseTTL, or its default.
func (c *Controller) Lease() time.Duration {
	switch {
	case c.LeaseTTL > 0:
		return c.LeaseTTL
	case c.Fence.Kind == messages.FenceKato:
		return katoLease
	}
	return controller.DefaultLeaseTTL
}

// Add adds the flags that `run` and `up` have for it.
func (c *Controller) Add(fs *pflag.FlagSet) {
	SpanVar(fs, &c.LeaseTTL, "lease-ttl", 0, "how long the other controllers wait for a silent acting one (default 5s, or 20s where fence is kato)")
	Explain(fs, "lease-ttl", "One call of a fence config's store may take half of it: give more where kato takes long.")
	AddFence(fs, &c.Fence)
}

// Distributor configures a distributor.
type Distributor struct {
	Fleet, Node  string
	DockerHost   string
	DockerConfig string
	Labels       Labels
	Interval     time.Duration
	MinFreeBytes int64
	Abandoned    time.Duration
	Apply        apply.Config // what becomes of the current image on the node; nothing where it is empty
	Pull         PullWay
}

// Add adds the flags that `run` and `up` have for it.
func (d *Distributor) Add(fs *pflag.FlagSet) {
	d.Labels = Labels{}
	nameVar(fs, &d.Fleet, "fleet", "default", "the fleet that this node belongs to")
	nameVar(fs, &d.Node, "node", HostLabel(), "this node's name, a DNS label")
	fs.StringVar(&d.DockerHost, "docker-host", "", "the Docker engine (default: $DOCKER_HOST, or unix:///var/run/docker.sock)")
	fs.Var(d.Labels, "label", "label shown with the node; may be given several times")
	SpanVar(fs, &d.Interval, "interval", distributor.DefaultInterval, "between heartbeats when nothing changes")
	Explain(fs, "interval", "At most half of what the controllers keep heartbeats for (their --node-ttl): a longer one is refused, with the bound.")
	numberVar(fs, &d.MinFreeBytes, "min-free-bytes", distributor.DefaultMinFreeBytes, 0, "free disk space that pulls leave alone")
	SpanVar(fs, &d.Abandoned, "abandoned-after", distributor.DefaultAbandonedAfter, "how long images of another fleet stay on the engine that no distributor answers for")
	AddApply(fs, &d.Apply)
	d.Pull.Add(fs)
	DefaultsTo(fs, "node", "the host's name")
	Explain(fs, "fleet", "A DNS label.")
	Explain(fs, "abandoned-after", "Sooner where this node had them for an earlier fleet or installation.")
	Explain(fs, "min-free-bytes", "Below it none begins, and one under way is given up.")
}

// DefaultGrace is how long builds and requests that are under way may go on after a stop.
const DefaultGrace = 30 * time.Second

// StopMargin is what a process may take to end beyond its grace, for handing back and closing.
const StopMargin = 15 * time.Second

// graceVar is the flag of how long a process that was told to stop may take for what is under way.
func graceVar(fs *pflag.FlagSet, grace *time.Duration) {
	SpanVar(fs, grace, "grace", DefaultGrace, "how long what is under way may go on after a stop, before it is handed back")
	Explain(fs, "grace", "A builder hands its builds to others then, and a producer cuts requests off. The process ends at most 15 seconds later: "+
		"give whoever watches over it more than both together (TimeoutStopSec, of which fenceline install takes care: run it again after a change).")
}
