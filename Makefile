.DEFAULT_GOAL := help
.PHONY: help build test test-complete lint format fuzz bench figures footprint check

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## build the binary
	CGO_ENABLED=0 go build -trimpath -o onramp ./cmd/onramp

test: ## run the tests; skip those whose database, browser or file system is missing
	go test ./...

test-complete: ## run all tests, shuffled and with the race detector; fail instead of skipping
	ONRAMP_TEST_REQUIRE=postgres,chromium,php,prometheus,node,npm,fuse go test -race -gcflags=modernc.org/...=-race=false -shuffle=on ./...

lint: ## vet, staticcheck, gofumpt
	go vet ./...
	go tool -modfile=tools.mod staticcheck ./...
	@test -z "$$(go tool -modfile=tools.mod gofumpt -l . | tee /dev/stderr)"

format: ## format the code
	go tool -modfile=tools.mod gofumpt -w .

fuzz: ## run every fuzz target for 30 s
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime 30s $$package || exit 1; \
		done; \
	done

bench: ## run the benchmarks on this machine
	go run ./cmd/onramp bench accept
	go run ./cmd/onramp bench deliver

figures: ## measure this machine, run the long crash matrix (2 hours), and make the pages with figures
	go run ./internal/figures/generate

footprint: ## print size, idle memory and start time of the program; fail beyond the bars
	go run ./internal/figures/generate -footprint

check: lint test-complete ## lint and test-complete: must pass before you commit
