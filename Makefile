# HyperKV. `make run` builds and starts a server, `make test` runs all tests.

GO      ?= go
# poll_opt lets the event loops find a connection without a map look-up.
TAGS    ?= poll_opt
BIN     := bin/hyperkv
PORT    ?= 6379

.PHONY: run build test check bench fuzz docs clean

run: build
	$(BIN) serve --port $(PORT)

build:
	$(GO) build -tags "$(TAGS)" -o $(BIN) ./cmd/hyperkv

# Everything: the tests of all packages, those of the concurrent ones under the
# race detector, and the structures and schedules with their invariants walked.
test: check
	$(GO) test ./...
	$(GO) test -race ./engine/... ./shard/... ./netio/... ./persist/... ./cluster/... ./internal/...
	$(GO) test -tags invariants ./shard/... ./engine/...

check:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags invariants ./...

# Compares with every peer on PATH and writes the figures down.
bench: build
	$(BIN) bench --compare --out bench/RESULTS.md --raw bench/results.json --html bench/report.html

FUZZTIME ?= 10m
# Random commands against redis-server until FUZZTIME is over.
fuzz:
	HYPERKV_FUZZ_TIME=$(FUZZTIME) $(GO) test ./internal/difftest -run TestHyperKV -timeout 0 -v

docs: build
	$(BIN) config docs > docs/configuration.md
	$(BIN) docs commands > docs/commands.md
	$(GO) test ./cmd/hyperkv -run '^TestCompatibilityPage$$' -count=1 -write

clean:
	rm -rf bin
