// Command bench measures what fenceline costs over doing its work by hand. Each figure is
// taken beside its peer in the same run, in alternation, so that the machine's own ups and
// downs meet both. It drives the built program, as users have it.
//
//	go run ./bench [-only NAME] [-fenceline bin/fenceline] [-o bench/results.json]
//
// It prints a line of JSON for each figure and keeps all of them in the file.
//
// The files, in reading order:
//
//	main.go          the figures
//	memory.go        those of memory
//	manyrecords.go   those of commands and sweeps, with many records
//	console.go       those of the web page
//	buildtimes.go    those of builds and flips
//	nodeflip.go      that of a flip until a node's own software is told
//	flips.go         those of flips in the stores of fence configs
//	flipconfdis.go   that of Stackato's Redis
//	flipkato.go      that of its kato command
//	triggers.go      that of a base's change until its rebuild is claimed
//	webhookrate.go   those of webhooks
//	metricsoverhead.go  what metrics cost a producer
//	webhookpeer.go   against another receiver of webhooks
//	webhooklatency.go  how long webhooks wait, at half of what is taken
//	producermemory.go  what a producer holds after a million of them
//	webhooklines.go  many webhooks at once
//	pulls.go         those of updates of an image, by the engine and fed to it
//	mirrors.go       that of many nodes behind one mirror
//	recovery.go      those of recoveries
//	rig.go           `fenceline up` with what surrounds it
//	rolesapart.go    its roles as processes of their own
//	servers.go       and its servers
//	natsserver.go    a NATS server alone
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// Figure is one result.
type Figure struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Peer      string  `json:"peer"`       // what it was measured against
	PeerValue float64 `json:"peer_value"` // of the same quantity, in the unit of the measured one
	Ratio     float64 `json:"ratio"`      // of the measured quantity to the peer's
	Target    string  `json:"target"`
	Met       bool    `json:"met"`
}

// measure is a way to come by a figure.
type measure struct {
	name string
	run  func(ctx context.Context, o options) (Figure, error)
}

func measures() []measure {
	return []measure{
		{"commands_10000_ms", commandsTook},
		{"console_10000_ms", consolePage},
		{"console_rss_mb", consoleMemory},
		{"console_stream_kib", consoleStream},
		{"flip_node_ms", flipNode},
		{"flip_confdis_ms", flipConfdis},
		{"flip_kato_ms", flipKato},
		{"idle_rss_mb", idleUp},
		{"idle_rss_distributor_mb", idleDistributor},
		{"intake_ratio", intake},
		{"intake_1_ratio", intakeOne},
		{"metrics_overhead_ratio", metricsOverhead},
		{"intake_p99_ms", intakeP99},
		{"intake_peer_ratio", intakePeer},
		{"intake_peer_1_ratio", intakePeerOne},
		{"load_ratio", loadUpdate},
		{"mirror_egress_ratio", mirrorEgress},
		{"overhead_cached_ms", overheadCached},
		{"overhead_cached_apart_ms", overheadCachedApart},
		{"overhead_cold_ratio", overheadCold},
		{"producer_idle_cpu", producerIdle},
		{"producer_rss_mb", producerMemory},
		{"push_to_flip_ratio", pushToFlip},
		{"recovery_builder_s", recoveryBuilder},
		{"recovery_controller_s", recoveryController},
		{"recovery_nats_s", recoveryNATS},
		{"trigger_latency_ms", triggerLatency},
		{"update_pull_ratio", updatePull},
	}
}

// options are what every measure needs.
type options struct {
	program string    // fenceline
	tools   string    // folder with buildctl and busybox's folder beside it
	dir     string    // where states may be made
	log     io.Writer // progress, for people
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "measure this figure alone: "+strings.Join(names(), ", "))
	program := flags.String("fenceline", "bin/fenceline", "the program")
	state := flags.String("state", ".fenceline", "the folder that make setup fills")
	results := flags.String("o", "bench/results.json", "file that keeps the figures")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.Arg(0) == serveWord {
		return serve(ctx, flags.Args()[1:])
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	o := options{log: os.Stderr}
	if o.program, err = filepath.Abs(*program); err != nil {
		return fmt.Errorf("finding the program: %w", err)
	}
	if o.dir, err = filepath.Abs(*state); err != nil {
		return fmt.Errorf("finding the state folder: %w", err)
	}
	o.tools = filepath.Join(o.dir, "bin")
	for _, file := range []string{o.program, filepath.Join(o.tools, "buildctl"), filepath.Join(o.dir, "base", "busybox")} {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("%w: run make bench, which makes it, without FENCELINE_BUILDKITD: bench starts its own", err)
		}
	}
	return all(ctx, chosen, o, *results, stdout)
}

// all takes the chosen figures. One that fails doesn't keep the others from being taken.
func all(ctx context.Context, chosen []measure, o options, results string, stdout io.Writer) error {
	var failures []error
	for _, m := range chosen {
		fmt.Fprintf(o.log, "bench: %s …\n", m.name)
		f, err := m.run(ctx, o)
		if err == nil {
			err = report(f, results, stdout)
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", m.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failures...)
}

func names() []string {
	var out []string
	for _, m := range measures() {
		out = append(out, m.name)
	}
	return out
}

func choose(only string) ([]measure, error) {
	if only == "" {
		return measures(), nil
	}
	for _, m := range measures() {
		if m.name == only {
			return []measure{m}, nil
		}
	}
	return nil, fmt.Errorf("there is no figure %q: name one of %s", only, strings.Join(names(), ", "))
}

// report prints a figure and puts it into the file in the place of the last one of its name.
func report(f Figure, file string, stdout io.Writer) error {
	line, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.Name, err)
	}
	fmt.Fprintf(stdout, "%s\n", line)
	var kept []Figure
	if b, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(b, &kept); err != nil {
			return fmt.Errorf("reading %s: %w: remove it", file, err)
		}
	}
	out := []Figure{}
	for _, k := range kept {
		if k.Name != f.Name {
			out = append(out, k)
		}
	}
	b, err := json.MarshalIndent(append(out, f), "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("keeping the figures: %w", err)
	}
	return nil
}
