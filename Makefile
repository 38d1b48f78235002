# Run `make` for what there is. Everything that is made goes to .fenceline/ and bin/.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# Runs go test and says how far it is.
GOTEST := .fenceline/bin/gotest
# The packages whose tests take longest: they begin first, so that none is left alone at the end.
LONGEST := ./builder/buildkit ./distributor/docker ./e2e ./standalone ./controller ./builds ./producer ./cli
GO_FILES := $(shell git ls-files -- '*.go' 2>/dev/null)

.PHONY: help demo up down images compose-up compose-down setup build test check reference format lint vet unit fuzz soak bench clean

help: ## show this
	@echo "Fenceline keeps the base image of a fleet current. Start with: make demo"
	@echo
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

demo: bin/fenceline bin/demo ## set everything up, then show a git push become the fleet's image
	@scripts/with-setup bin/demo

up: bin/fenceline bin/demo ## the same stack, ready for your own pushes, until Ctrl-C
	@scripts/with-setup bin/demo -stay

images: bin/fenceline ## the images of compose.yaml, in the Docker engine
	@scripts/setup images
	@scripts/images $(if $(STACKATO),stackato)
	@$(if $(OBSERVE),scripts/images observe)

compose-up: images ## the roles apart: images, then compose.yaml; CLUSTER=1 takes three NATS servers, STACKATO=kato|confdis|exec a fence config, OBSERVE=1 a Prometheus
	@scripts/compose up

compose-down: ## end compose.yaml; its volumes are kept
	@scripts/compose down

down: ## end a Docker engine that make setup started
	@scripts/engine down

setup: ## a Docker engine, buildkitd and a base image, each made once, under .fenceline/
	@scripts/setup

build: bin/fenceline ## the program, as bin/fenceline

bin/fenceline: package = ./cmd/fenceline
bin/demo: package = ./demo
$(GOTEST): package = ./scripts/gotest
bin/fenceline bin/demo $(GOTEST): FORCE
	@command -v go >/dev/null || { echo "Go is not installed: get it from https://go.dev/dl/; go.mod says which version"; exit 1; }
	@CGO_ENABLED=0 scripts/clocked build "building $@" go build -buildvcs=false -trimpath -ldflags '-s -w -X github.com/fenceline/fenceline/cli.version=$(VERSION)' -o $@ $(package)

test: bin/fenceline $(GOTEST) ## everything: sets up what it needs, then all tests, with the race detector
	@scripts/compiler
	@scripts/python
	@scripts/redis
	@scripts/etcd
	@scripts/prometheus
	@scripts/chromium
	@CGO_ENABLED=1 FENCELINE_PROGRAM=$(CURDIR)/bin/fenceline scripts/with-setup sh -c '\
		scripts/programs engine && scripts/programs gitea && { scripts/oldengine || :; } && { \
		status=0; \
		$(GOTEST) -race -timeout=40m $$(go list $(LONGEST) ./... | grep -v /e2e/compose$$) || status=$$?; \
		[ $$status -lt 128 ] || exit $$status; \
		scripts/images stackato && scripts/images observe && $(GOTEST) -race -timeout=40m ./e2e/compose || exit; \
		exit $$status; }'

check: format lint vet unit ## what to run before a commit: format, lint, vet, unit tests

reference: ## docs/reference.md, docs/metrics.md's table, the schema of pipeline files and the document of the API anew, after a change
	@go test ./cmd/fenceline -run '^Test(Reference|Schema|APIDocument|MetricsPage)IsCurrent$$' -count=1 -update

format:
	@out=$$(gofmt -l $(GO_FILES)) && test -z "$$out" || { echo "not formatted (gofmt -w mends it):"; echo "$$out"; exit 1; }

lint:
	@scripts/programs lint
	@scripts/clocked check "running golangci-lint (minutes, the first time)" .fenceline/bin/golangci-lint run
	@if command -v shellcheck >/dev/null; then \
		shellcheck -x -P scripts $$(git ls-files scripts .ci examples ':!examples/guide' | xargs grep -lE '^#!/(usr/bin/env bash|bin/(ba)?sh)'); \
	else echo "shellcheck is not installed: the scripts are not checked"; fi

vet:
	@scripts/clocked check "running go vet" go vet ./...

# What needs a Docker engine or a buildkitd, or tries the setup itself, is for make test.
unit: $(GOTEST)
	@scripts/python
	@scripts/redis
	@scripts/etcd
	@scripts/prometheus
	@$(GOTEST) $$(go list $(LONGEST) ./... | grep -vE '/(e2e|e2e/compose|console/browser|distributor/docker|builder/buildkit|standalone|scripts)$$')

soak: bin/fenceline ## take parts of compose.yaml away at random, under load, for MINUTES=30
	@FENCELINE_SOAK_MINUTES=$(or $(MINUTES),30) FENCELINE_SOAK_SEED=$(SEED) scripts/with-setup sh -c \
		'scripts/images && exec go test -v -count=1 -timeout 24h -run "^TestSoak$$" ./e2e/compose'

fuzz: ## each fuzz target for 10 seconds
	@grep -roE --include='*_test.go' --exclude-dir=.fenceline '^func Fuzz[A-Za-z0-9_]+' . | sed 's|/[^/]*:func | |' | sort -u | \
	while read -r package target; do \
		echo "$$target in $$package"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime 10s -fuzzminimizetime 1x "$$package" </dev/null || exit 1; \
	done

bench: ## the figures of docs/performance.md, to bench/results.json; ONLY=NAME for one
	@$(MAKE) --no-print-directory bin/fenceline >&2
	@scripts/redis >&2
	@scripts/webhook >&2
	@{ scripts/with-setup sh -c 'exec go run ./bench $(if $(ONLY),-only $(ONLY)) >&3' >&2; } 3>&1

clean: ## remove .fenceline/ and bin/
	@scripts/clean

FORCE:
