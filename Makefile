.DEFAULT_GOAL := help
.PHONY: help build test test-complete lint format fuzz bench figures footprint check program size package package-test release-check

# The program as a release has it, and what packages are made with.
RELEASE := CGO_ENABLED=0 go build -trimpath -buildvcs=true -ldflags='-s -w'
NFPM := go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.48.0
GORELEASER := go run github.com/goreleaser/goreleaser/v2@v2.17.0
ARCH ?= $(shell go env GOARCH)
TAG := $(shell git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null)
VERSION ?= $(or $(TAG:v%=%),0.0.0-dev.$(shell git log -1 --format=%cd --date=format:%Y%m%d%H%M%S))
LARGEST := 45000000

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## build the binary
	CGO_ENABLED=0 go build -trimpath -o onramp ./cmd/onramp

test: ## run the tests; skip those whose database, browser or file system is missing
	go test ./...

test-complete: ## run all tests, shuffled and with the race detector; fail instead of skipping
	ONRAMP_TEST_REQUIRE=postgres,chromium,mandoc,php,nginx,caddy,prometheus,node,npm,fuse go test -race -gcflags=modernc.org/...=-race=false -shuffle=on ./...

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
program: # stripped, for Linux
	GOOS=linux GOARCH=$(ARCH) $(RELEASE) -o build/linux_$(ARCH)/onramp ./cmd/onramp

size: program ## print how large the stripped program is; fail beyond 45 MB
	@bytes=$$(wc -c <build/linux_$(ARCH)/onramp); \
	awk -v bytes=$$bytes -v largest=$(LARGEST) 'BEGIN { printf "onramp for linux/$(ARCH), stripped: %.1f MB of at most %.0f MB\n", bytes/1e6, largest/1e6 }'; \
	[ $$bytes -le $(LARGEST) ]

package: program ## make the deb and rpm packages from the working tree, in build (ARCH, VERSION)
	go run ./packaging/generate build/package
	for kind in deb rpm; do \
		PROGRAM=build/linux_$(ARCH)/onramp ARCH=$(ARCH) VERSION=$(VERSION) $(NFPM) package --config build/package/nfpm.yaml --packager $$kind --target build/ || exit 1; \
	done

package-test: ## install, upgrade, roll back and remove the packages in a clean Debian with systemd (as root)
	packaging/test/packages

release-check: ## check the release's configuration, and build all of it but the SBOMs without publishing
	$(GORELEASER) check
	$(GORELEASER) release --snapshot --clean --skip=publish,sign,sbom

check: lint test-complete ## lint and test-complete: must pass before you commit
