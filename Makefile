# Starling's commands. `make` alone lists them.
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

dev: ## the main job on embedded defaults: a crowd of 200, a page, one process (more flags: ARGS=…)
	@echo "compiling: the first time this takes a minute or two"
	@go build -o bin/starling ./cmd/starling && exec bin/starling dev --crowd 200 $(ARGS)

build: ## the binary, into bin/
	go build -trimpath -o bin/ ./cmd/starling

test: ## everything: linters, race detector, real Redis, real browser; installs what is missing
	./scripts/test.sh

check: ## the linters alone
	./scripts/check.sh

torture: ## the fault tests by the hundred: make torture SEEDS=100
	SEEDS=$(or $(SEEDS),20) ./scripts/torture.sh

fuzz: ## every fuzz target for a while: make fuzz TIME=30s
	./scripts/fuzz.sh $(or $(TIME),20s)

bench: ## the benchmarks of the hot paths
	go test -run '^$$' -bench . -benchmem ./invoke/... ./world/... ./pubsub/... ./actions/... ./gateway/... ./regions/...

generate: ## renew generated code (needs protobuf-compiler and node)
	./api/generate.sh
	./clients/js/generate.sh

reference: ## renew the generated pages of docs/reference
	go generate ./cmd/starling ./loadtest/report ./loadtest/trigger ./loadtest/annotate

web: ## rebuild the page of `starling dev` (needs node)
	./web/build.sh

.PHONY: help dev build test check torture fuzz bench generate reference web
