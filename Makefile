# Two commands matter: `make matrix` and `make test`. The rest serves people who change holdfast.

GO       ?= go
OUT      ?=
VERSION  := $(shell git describe --always --dirty 2>/dev/null || echo dev)
COMMIT   := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
BINARY   := bin/holdfast
# The packages with goroutines of their own.
DRIVERS  := ./broker/server ./loadgen/... ./checker/history ./nemesis/process ./nemesis/clock ./nemesis/disk ./nemesis/network ./reports ./scenarios

.PHONY: build matrix matrix-full findings test mutants test-long conformance compat compat-apache soak fuzz bench bench-rocketmq lint fmt clean

build:
	@mkdir -p bin
	$(GO) build -trimpath -ldflags "-X main.version=$(VERSION) -X main.commit=$(COMMIT)" -o $(BINARY) .

# The main job: every brokerRole x flushDiskType, its throughput, latency and loss.
matrix: build
	$(BINARY) matrix --quick $(if $(OUT),--out $(OUT))

# Every column of every contract, 60 cuts a cell: three hours. CUTS=1 takes twenty minutes and says less.
CUTS     ?= 60
matrix-full: build
	$(BINARY) matrix --cuts $(CUTS) $(if $(OUT),--out $(OUT))

# Every scenario of docs/findings.md on three versions of Apache RocketMQ and on the reference broker, held against what it expects: two hours.
FAILURES := fsync-error-then-power,fsync-error-pages-kept,frozen-slave,frozen-slave-control,slave-killed,slave-stopped,slave-absent,offset-reuse,fast-reader,half-survives,power-at-100,reads-from-slave,reads-from-slave-power,controller-switch,controller-power,controller-power-young,dledger-election,dledger-power-all
findings: build
	$(BINARY) matrix --expectations --no-performance --alone 0 --cuts 1 --parallel 2 --faults $(FAILURES) \
		--system rocketmq:5.5.0 --system rocketmq:5.3.3 --system rocketmq:4.9.7 --system reference --system reference:rocketmq-4.9 $(if $(OUT),--out $(OUT))
	for s in rocketmq:5.5.0 rocketmq:4.9.7 reference; do $(BINARY) run quiet-then-power --system $$s || exit; done

test: build
	$(GO) vet ./...
	$(GO) test -count=1 -timeout 15m ./...
	$(GO) test -count=1 -timeout 10m -race $(DRIVERS)
	$(GO) test -count=1 -timeout 10m -race -run 'Replay|Hashes|Trace|Search' ./scenarios/sim

# Known-bad variants of the reference broker: the simulator must find each of them. Writes docs/track-record.md.
mutants: build
	HOLDFAST_MUTANTS=1 $(GO) test -count=1 -timeout 40m -run 'TestMutants$$' ./scenarios/sim -args -record

# What takes minutes: long property tests, fuzzing, Apache's own clients and brokers.
test-long: build conformance
	HOLDFAST_LONG=1 HOLDFAST_APACHE=1 $(GO) test -timeout 60m ./...

# Apache's Go client, its Java clients and mqadmin against the reference broker (a nested module, so that nobody else downloads them).
conformance: build
	cd conformance && HOLDFAST_BIN=$(CURDIR)/$(BINARY) $(GO) test -count=1 -timeout 8m ./...
	cd examples/embedded && $(GO) test -count=1 -timeout 1m ./...

# The same, and docs/compat.md anew. What Apache's own broker does is recorded by make compat-apache, in six minutes.
compat: build
	cd conformance && HOLDFAST_BIN=$(CURDIR)/$(BINARY) $(GO) test -count=1 -timeout 8m -run 'TestClients|TestGoClient' . -rewrite

compat-apache: build
	cd conformance && HOLDFAST_BIN=$(CURDIR)/$(BINARY) $(GO) test -count=1 -timeout 15m -run 'TestClients|TestGoClient|TestLimits' . -system rocketmq:5.5.0 -record
	cd conformance && HOLDFAST_BIN=$(CURDIR)/$(BINARY) $(GO) test -count=1 -timeout 2m -run TestLimits . -system rocketmq:4.9.7 -record

# A broker group under load for as long as FOR says, with restarts, kills and changing consumer groups; FOR=2h for a release.
FOR      ?= 4m
soak: build
	cd conformance && $(GO) build -trimpath -o $(CURDIR)/bin/groupmember ./groupmember
	$(BINARY) soak --for $(FOR) --member bin/groupmember $(if $(OUT),--out $(OUT))

# Apache RocketMQ 5.5.0 and the reference broker side by side, against what the reference is to be: 20 minutes with nothing else on the machine.
bench-rocketmq: build
	$(BINARY) bench --system reference --system rocketmq:5.5.0 $(if $(OUT),--out $(OUT))

# Every fuzz target, each for as long as FUZZTIME says: decoders, files, and sessions of valid frames in wrong orders. Go would spend up to a
# minute on making one input smaller that reaches new code, and run nothing else meanwhile.
FUZZTIME ?= 1m
fuzz:
	@grep -rn --include='*_test.go' '^func Fuzz' . | sed -E 's|^(.*)/[^/]*:[0-9]+:func (Fuzz[A-Za-z0-9]*).*|\1 \2|' | sort | while read dir name; do \
		echo "$$dir $$name"; $(GO) test $$dir -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s || exit 1; done

bench: build
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./...

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'run: make fmt'; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

fmt:
	gofmt -w .

clean:
	rm -rf bin
