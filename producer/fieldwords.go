package producer

import (
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/producer/schedule"
	"github.com/fenceline/fenceline/sinks/form"
	"github.com/fenceline/fenceline/statuses/target"
)

// fieldWords are what editors show of a field, and what its own check takes where that can be told.
type fieldWords struct {
	about   string
	pattern string          // of text
	values  func() []string // all that there are

	otherwise any // what counts where it is not written, unless the reader tells that itself
}

// nameForm is that of messages.CheckName.
const nameForm = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`

// secretNameForm is that of messages.CheckSecretName.
const secretNameForm = `^[A-Za-z0-9_][A-Za-z0-9._-]*$`

// statusForges are those that take statuses.
func statusForges() []string {
	var names []string
	for _, f := range target.Forges() {
		names = append(names, string(f))
	}
	return names
}

// wordsOf are the words for a field. Those of defaults are those of what they are the defaults of.
func wordsOf(path string) fieldWords {
	w, ok := words[path]
	if rest, of := strings.CutPrefix(path, "defaults.fleet."); of && !ok {
		return words["pipelines[].fleets[]."+rest]
	}
	if rest, of := strings.CutPrefix(path, "defaults."); of && !ok {
		return words["pipelines[]."+rest]
	}
	return w
}

// words are those of every field, by its path. What is about a field is the first sentence of its row in
// docs/configuration.md.
var words = map[string]fieldWords{
	"defaults":                                       {about: "what every pipeline of this file has that says nothing of its own"},
	"defaults.fleet":                                 {about: "what every fleet of this file has that says nothing of its own"},
	"version":                                        {about: "the version of this form of file"},
	"console_url":                                    {about: "where people reach the console; what sinks are sent leads there", pattern: "^https?://"},
	"sinks":                                          {about: "programs and chats that are sent what happens"},
	"sinks[]":                                        {about: "a program or chat that is sent what happens"},
	"sinks[].name":                                   {about: "a DNS label", pattern: nameForm},
	"sinks[].url":                                    {about: "where events are posted: http or https", pattern: "^https?://"},
	"sinks[].url_file":                               {about: "file with that address and nothing else, in place of url: a chat's address is a secret; relative to this file"},
	"sinks[].format":                                 {about: "how an event looks: cloudevents, slack, mattermost, teams or matrix", values: form.Formats, otherwise: string(form.CloudEvents)},
	"sinks[].template":                               {about: "file with a template that makes JSON of an event, in place of format, or beside matrix, which says how it is sent; relative to this file"},
	"sinks[].secret_file":                            {about: "file with the secret that signs what is sent, or several, one a line, relative to this file"},
	"sinks[].headers_file":                           {about: "file with headers that are sent along, NAME: VALUE, one a line, relative to this file"},
	"sinks[].ca_file":                                {about: "certificate authorities of the sink, in PEM, relative to this file"},
	"sinks[].types":                                  {about: "the types of events that are sent"},
	"sinks[].types[]":                                {values: form.Types},
	"sinks[].fleets":                                 {about: "the fleets whose events are sent, those of the builds for them too"},
	"sinks[].fleets[]":                               {pattern: nameForm},
	"sinks[].severity":                               {about: "the least severity that is sent: info, warning or error", values: form.Severities, otherwise: string(form.Info)},
	"sinks[].retry_for":                              {about: "how long an event is tried that the sink doesn't take, from 1m to 2160h (90 days, for which events are kept; 720h where types has refusals.counted), counted from when it happened; then it is a dead letter"},
	"pipelines":                                      {about: "what is built, from where, and for whom"},
	"pipelines[]":                                    {about: "a repository and branch, the image that is built of it, and the fleets that get it"},
	"pipelines[].secrets[]":                          {pattern: secretNameForm},
	"pipelines[].webhook":                            {about: "whose webhooks are accepted, and how they are signed"},
	"pipelines[].webhook.forges[]":                   {values: forgeNames},
	"pipelines[].fleets[]":                           {about: "a fleet, and how the image passes through it"},
	"pipelines[].fleets[].rollout.trial":             {about: "how canaries try the image before the flip"},
	"pipelines[].fleets[].rollout.apply":             {about: "what is asked of how nodes apply the image; without it, nothing"},
	"pipelines[].fleets[].pull":                      {about: "how the fleet's nodes fetch images"},
	"pipelines[].fleets[].pull.mirrors[]":            {about: "a mirror"},
	"pipelines[].name":                               {about: "a DNS label: lower-case letters, digits, inner hyphens", pattern: nameForm},
	"pipelines[].repository":                         {about: "git URL that is cloned: https, http or git (not ssh, which builders don't read), ending in .git, without user or password", pattern: `^(https?|git)://`},
	"pipelines[].branch":                             {about: "the branch whose head is built, by its name alone: main, not refs/heads/main", otherwise: messages.DefaultBranch},
	"pipelines[].branches":                           {about: "patterns of the branches and tags that are built, in place of branch or, for tags, beside it"},
	"pipelines[].tags":                               {about: "patterns of the branches and tags that are built, in place of branch or, for tags, beside it"},
	"pipelines[].paths":                              {about: "patterns of the files that a push must change to be built; see which pushes are built"},
	"pipelines[].poll":                               {about: "how often the repository is looked at for pushes that no webhook told of, from 10s; 0s for never"},
	"pipelines[].skip_ci":                            {about: "whether [skip ci] in a commit's message keeps its push from being built"},
	"pipelines[].concurrency":                        {about: "what becomes of a branch's builds when it is pushed to again: latest or queue", values: messages.Concurrencies, otherwise: messages.ConcurrencyLatest},
	"pipelines[].cancel_running":                     {about: "with latest: a build that runs ends, too, when its branch is pushed to again, but never more than three in a row"},
	"pipelines[].directory":                          {about: "the build context inside the repository"},
	"pipelines[].dockerfile":                         {about: "path inside directory"},
	"pipelines[].image":                              {about: "name that is pushed to, without tag or digest"},
	"pipelines[].moving_tag":                         {about: "a tag beside the commit's that names the pipeline's newest image, for Dockerfiles of others to build on", pattern: `^[A-Za-z0-9_][A-Za-z0-9_.-]*$`},
	"pipelines[].platform":                           {about: "such as linux/amd64", pattern: `^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$`},
	"pipelines[].build_args":                         {about: "arguments of the Dockerfile"},
	"pipelines[].hooks_dir":                          {about: "where the image has its admin hooks", pattern: "^/"},
	"pipelines[].timeout":                            {about: "for the whole build, from 1s"},
	"pipelines[].retry_for":                          {about: "how long a build that infrastructure fails (registry, git host, buildkitd) is tried again, from 1s, counted from its first failure"},
	"pipelines[].attempts":                           {about: "how many of its attempts infrastructure may fail, 1 to 100"},
	"pipelines[].submodules":                         {about: "which submodules are fetched: all, same-host (a commit with one of another host fails), or none (their folders are empty)", values: func() []string { return []string{"all", "same-host", "none"} }, otherwise: "all"},
	"pipelines[].repository_token":                   {about: "name of the secret that reads the repository: a token, or USER:TOKEN where the forge wants a user, as Bitbucket Cloud does (x-token-auth:… for a repository's access token)", pattern: secretNameForm},
	"pipelines[].secrets":                            {about: "names of secrets that a RUN --mount=type=secret,id=NAME may ask for"},
	"pipelines[].webhook.secret_file":                {about: "file with the secret that signs the webhooks, or several, one a line, relative to this file"},
	"pipelines[].webhook.forges":                     {about: "whose webhooks are accepted: github, gitlab, gitea, forgejo, gogs, bitbucket, generic"},
	"pipelines[].rebuild_on":                         {about: "for which changes of what it builds on the head is built again"},
	"pipelines[].rebuild_on.base":                    {about: "whether it is when a tag that the last build took as a base names another image"},
	"pipelines[].rebuild_on.pipeline":                {about: "whether it is when the base is the image of another pipeline of this file, and its tag has moved"},
	"pipelines[].rebuild_on.interval":                {about: "between looks at the registry, from 1m; they vary by a fifth"},
	"pipelines[].rebuild_on.settle":                  {about: "how long changes must rest that come soon after another, from 1s; at most six times as long"},
	"pipelines[].rebuild_on.token_file":              {about: "file with the token of registries that tell of pushes, or several, one a line, relative to this file"},
	"pipelines[].status":                             {about: "where the forge is told what became of a commit"},
	"pipelines[].status.forge":                       {about: "the forge: github, gitlab, gitea, forgejo, bitbucket (Cloud) or bitbucket-server (Data Center)", values: statusForges},
	"pipelines[].status.token_file":                  {about: "file with the forge's token and nothing else, relative to this file"},
	"pipelines[].status.url":                         {about: "where people reach the forge"},
	"pipelines[].status.repository":                  {about: "the repository at the forge: OWNER/NAME, PROJECT/NAME at Data Center, any depth at GitLab"},
	"pipelines[].status.context":                     {about: "the name of the status"},
	"pipelines[].status.target_url":                  {about: "where the status leads, with {pipeline}, {build} and {commit} filled in"},
	"pipelines[].status.ca_file":                     {about: "certificate authorities of the forge, in PEM, relative to this file"},
	"pipelines[].schedule":                           {about: "when the branch's head is built, whether anything was pushed or not"},
	"pipelines[].schedule[]":                         {about: "a schedule"},
	"pipelines[].schedule[].cron":                    {about: "minute, hour, day, month and weekday, as in a crontab; at most every 5 minutes"},
	"pipelines[].schedule[].time_zone":               {about: "zone of the IANA database in which the clock is read", otherwise: schedule.UTC},
	"pipelines[].schedule[].branch":                  {about: "the branch whose head is built, one that the pipeline builds"},
	"pipelines[].schedule[].only_if":                 {about: "changed: it is built only if something has changed since the branch's last image", values: messages.Conditions},
	"pipelines[].fleets":                             {about: "the fleets that get the image, in order: each waits until the one before it is done"},
	"pipelines[].fleets[].reference":                 {about: "how the fence config names the image: digest (NAME@sha256:…), or local (fenceline.local/ID/FLEET:DIGEST, a tag that each node gives the image) for software that takes no digest in a name", values: func() []string { return []string{"digest", "local"} }, otherwise: "digest"},
	"pipelines[].fleets[].name":                      {about: "a DNS label", pattern: nameForm},
	"pipelines[].fleets[].rollout":                   {about: "how the image passes through it"},
	"pipelines[].fleets[].fence":                     {about: "where its fence config lives, from the next flip on: natskv, kato, confdis or exec; see fence-backends.md", values: messages.FenceKinds},
	"pipelines[].fleets[].rollout.canaries":          {about: "nodes that preload first and run the trial; at most 100"},
	"pipelines[].fleets[].rollout.waves":             {about: "shares of the members that fetch the image, one after another, also after the flip; rising, the last 100%", otherwise: []string{"100%"}},
	"pipelines[].fleets[].rollout.max_in_flight":     {about: "nodes that fetch images at one time, before the flip and after it, whichever image they lack; 0 is no bound"},
	"pipelines[].fleets[].rollout.quorum":            {about: "share of the members that must hold the image", otherwise: "100%"},
	"pipelines[].fleets[].rollout.quorum_floor":      {about: "nodes that must hold it, however few members there are"},
	"pipelines[].fleets[].rollout.node_deadline":     {about: "how long a node's preload may make no progress; then it counts as failed, until it has the image"},
	"pipelines[].fleets[].rollout.trial.timeout":     {about: "for all hooks of one trial together; each may use 1 GiB of memory"},
	"pipelines[].fleets[].rollout.trial.network":     {about: "Docker network of the trial's container"},
	"pipelines[].fleets[].rollout.trial.user":        {about: "the user that the trial runs hooks as, USER or USER:GROUP"},
	"pipelines[].fleets[].rollout.trial.disabled":    {about: "run no trial"},
	"pipelines[].fleets[].rollout.approval":          {about: "wait for fenceline approve before the flip"},
	"pipelines[].fleets[].rollout.soak":              {about: "how long failures after the flip roll back by themselves", otherwise: "0s"},
	"pipelines[].fleets[].rollout.soak_grace":        {about: "how long a node may lack the image that soaks, without coming further with fetching it again, until it counts as failed; from 1s"},
	"pipelines[].fleets[].rollout.soak_failures":     {about: "share of the members, rounded down, that may fail in a soak without a rollback, from 0%", otherwise: "10%"},
	"pipelines[].fleets[].rollout.keep":              {about: "images that nodes keep besides the current and the previous one, for rollbacks"},
	"pipelines[].fleets[].rollout.preload_bases":     {about: "nodes fetch the base images while the build still runs"},
	"pipelines[].fleets[].rollout.apply.quorum":      {about: "share of the members that must have applied the image after the flip, until the rollout is done", otherwise: "100%"},
	"pipelines[].fleets[].rollout.apply.deadline":    {about: "how long they may be too few; then the fleet goes back to the image before and is held"},
	"pipelines[].fleets[].preload_from":              {about: "registries (HOST) and repositories (HOST/PATH, with all below it) that nodes may fetch from, bases too"},
	"pipelines[].fleets[].pull.way":                  {about: "how nodes fetch images", values: messages.PullWays},
	"pipelines[].fleets[].pull.mirrors":              {about: "mirrors, in the order in which they are tried; the image's registry comes last"},
	"pipelines[].fleets[].pull.mirrors[].url":        {about: "http or https, HOST[:PORT], and what comes before the repository's path, if anything (https://harbor.example.com/proxy)", pattern: `^https?://`},
	"pipelines[].fleets[].pull.mirrors[].labels":     {about: "a node needs them to use the mirror: --label rack=a"},
	"pipelines[].fleets[].pull.mirrors[].time_limit": {about: "for a mirror's answer to begin, and for each further 128 KiB of it"},
	"pipelines[].fleets[].pull.mirrors[].back_off":   {about: "how long a mirror that failed is left alone; twice as long with each failure in a row, at most 16 times"},
}
