# Every command is here; `make help` lists them. CI runs the same ones.
STACK ?= dev
# Where to deploy: nothing for the sandbox, current or a context of your kubeconfig; and the registry that such a cluster pulls from.
CLUSTER ?=
REGISTRY ?=
# Which group of end-to-end tests `make e2e` runs, or all when it is empty.
RUN ?=

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/journal-sandbox

# The flags and the build cache of sandbox/toolchain, so that what tests and the sandbox share is compiled once.
export GOFLAGS := -trimpath -buildvcs=false -gcflags=all=-dwarf=false
export CGO_ENABLED := 0
export GOCACHE := $(CACHE)/go-build
# The compiler ends before its garbage would need collecting. Programs that are built collect theirs as usual.
GO      := GOGC=off GOMEMLIMIT=2500MiB go
GOTEST  := $(GO) test -exec 'env -u GOGC -u GOMEMLIMIT'
BUILD   := $(GO) run -C sandbox ./cmd/bootstrap
TOOLS   := $(CACHE)/tools
WHERE   := --stack $(STACK) $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(REGISTRY),--registry $(REGISTRY))
# Modules of our own code. The mains of sandbox/toolchain/programs are vetted as they are built.
MODULES := . services sandbox bench

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

.PHONY: go
go: # Go is the one thing that has to be there
	@command -v go >/dev/null || { echo 'no go command: install Go 1.26 or newer, https://go.dev/dl/' >&2; exit 1; }

.PHONY: doctor
doctor: ## what is missing here, and what repairs it; FOR=up (the default), test, cluster or all
	@sandbox/doctor/doctor.sh --for $(or $(FOR),up) $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(REGISTRY),--registry $(REGISTRY))

## The sandbox: a real one-node Kubernetes on this machine, and the stack on it.

.PHONY: up
up: ## start the sandbox and deploy STACK (dev); or deploy to a cluster that is there: make up CLUSTER=current
	@sandbox/doctor/doctor.sh --missing --for up $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(REGISTRY),--registry $(REGISTRY))
	@test -x $(CACHE)/bin/sandbox || echo 'first time: programs are built from source, which takes about 7 minutes on two cores' >&2
	@$(BUILD) $(if $(CLUSTER),,-with node) up $(WHERE)

.PHONY: preview
preview: go ## show what `make up` would change
	@$(BUILD) preview $(WHERE)

.PHONY: destroy
destroy: go ## delete the stack and every journal entry, and keep the cluster
	@$(BUILD) destroy $(WHERE) --yes

.PHONY: down
down: go ## stop the sandbox; its data stays
	@$(BUILD) down

.PHONY: reset
reset: go ## stop the sandbox and delete its data
	@$(BUILD) reset --yes

.PHONY: status
status: go ## what runs, and where
	@$(BUILD) status $(WHERE)

.PHONY: logs
logs: go ## logs of all pods, or of one part: make logs APP=api
	@$(BUILD) logs $(WHERE) $(APP)

.PHONY: kubeconfig
kubeconfig: go ## print the path of the sandbox's kubeconfig
	@$(BUILD) kubeconfig $(WHERE)

.PHONY: onboard
onboard: go ## a kubeconfig for a user whom the stack declares: make onboard WHO=alice
	@test -n "$(WHO)" || { echo 'WHO is missing: write a user of the stack, such as make onboard WHO=alice' >&2; exit 1; }
	@kubeconfig=$$($(BUILD) kubeconfig $(WHERE)) && $(GO) run -C services ./onboard $(WHO) --kubeconfig "$$kubeconfig" --out "$(CURDIR)/$(WHO).kubeconfig"

.PHONY: toolchain
toolchain: go ## build all programs of the sandbox, without starting it
	@$(BUILD) -with node,engine

.PHONY: toolchain-push
toolchain-push: toolchain ## upload them for others: make toolchain-push REGISTRY=registry.example.com/team-a
	@test -n "$(REGISTRY)" || { echo 'REGISTRY is missing: write where the programs go, such as make toolchain-push REGISTRY=registry.example.com/team-a' >&2; exit 1; }
	@$(GO) run -C sandbox ./cmd/toolchain push $(REGISTRY)

.PHONY: toolchain-pull
toolchain-pull: go ## take them from there instead of building them: make toolchain-pull TOOLCHAIN=registry.example.com/team-a/journal-toolchain@sha256:...
	@test -n "$(TOOLCHAIN)" || { echo 'TOOLCHAIN is missing: write what make toolchain-push has printed' >&2; exit 1; }
	@$(GO) run -C sandbox ./cmd/toolchain pull $(TOOLCHAIN)

.PHONY: clean
clean: ## delete what the compiler keeps; the sandbox and its programs stay
	@rm -rf $(CACHE)/go-build $(CACHE)/modules $(CACHE)/tmp

.PHONY: images
images: go ## build the images; push them with REGISTRY=registry.example.com/team
	@$(BUILD) images $(if $(REGISTRY),--registry $(REGISTRY))

## Tests

.PHONY: test
test: vet lint unit score ## everything that needs no cluster and no root

.PHONY: vet
vet: go
	@for m in $(MODULES); do (cd $$m && $(GO) vet ./...) || exit 1; done
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not formatted, run gofmt -w on: $$files" >&2; exit 1; }

.PHONY: tools
tools: go
	@mkdir -p $(TOOLS) && $(GO) build -C tools -ldflags='-s -w' -o $(TOOLS)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint github.com/zegl/kube-score/cmd/kube-score

.PHONY: lint
lint: tools
	@for m in $(MODULES); do (cd $$m && $(TOOLS)/golangci-lint run ./...) || exit 1; done

.PHONY: unit
unit: go
	@set -e; redis=$$($(GO) run -C sandbox ./cmd/debian-program redis-server usr/bin/redis-server); \
	for m in $(MODULES); do (cd $$m && REDIS_SERVER=$$redis $(GOTEST) ./...); done

# The race detector needs C, and packages of its own: CI runs it, and `make test` does not wait for it.
.PHONY: race
race: go ## the unit tests again, with the race detector and in another order
	@set -e; redis=$$($(GO) run -C sandbox ./cmd/debian-program redis-server usr/bin/redis-server); \
	for m in $(MODULES); do (cd $$m && CGO_ENABLED=1 REDIS_SERVER=$$redis $(GOTEST) -race -shuffle=on ./...); done

# kube-score over the objects of every stack. A tenant's network policies are there before its pods are, so no pod in the
# stack is theirs; the one other check that is left out has its reason in components/kube/pod.go.
SCORE := $(TOOLS)/kube-score score --kubernetes-version v1.34 --ignore-test networkpolicy-targets-pod

.PHONY: score
score: tools
	@for f in stacks/testdata/*.yaml; do $(SCORE) --output-format ci $$f > /dev/null || { $(SCORE) $$f; exit 1; }; done

.PHONY: golden
golden: go ## rewrite the golden files after a change that is meant
	$(GOTEST) ./stacks -update

# The groups of sandbox/e2e run in the order of their files, on one cluster: the journal's ends by stopping and starting it. Programs that
# talk to the API server are tested with one of their own as well, in which the clock and the moments of failure are the test's.
E2E := $(GOTEST) -tags e2e -count 1 -timeout 60m

.PHONY: e2e
e2e: go ## end-to-end tests on the sandbox, or on CLUSTER; one group with RUN=change, cluster, exposure, ingresscontroller, journal, node, pulumi, scale, tenancy or toolchain
	@$(BUILD) -with node,engine
ifeq ($(filter node toolchain,$(RUN)),)
	@cd sandbox && JOURNAL_E2E_CLUSTER=$(CLUSTER) JOURNAL_E2E_REGISTRY=$(REGISTRY) $(E2E) -v ./e2e $(if $(RUN),-run '(?i)^Test$(RUN)$$')
endif
ifneq ($(filter tenancy,$(or $(RUN),tenancy)),)
	@cd services && $(E2E) ./namespace-controller/... ./onboard/...
endif
ifneq ($(filter toolchain,$(or $(RUN),toolchain)),)
	@cd sandbox && $(E2E) ./toolchain
endif
ifneq ($(filter node,$(or $(RUN),node)),)
	@cd sandbox && $(E2E) ./node
endif

# A node of its own, in a cache and on ports of its own; nothing of it stays.
BENCH   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/journal-bench
TENANTS ?= 10 50 100 300

.PHONY: bench
bench: go ## seconds, memory and requests of Pulumi, kubectl and Helm for many tenants: make bench TENANTS="10 50"
	@$(BUILD) -with node,engine
	@mkdir -p $(BENCH)/journal-sandbox && for d in bin debian images; do ln -sfn $(CACHE)/$$d $(BENCH)/journal-sandbox/$$d; done
	@$(GO) build -C bench/helm -o $(BENCH)/helm helm.sh/helm/v4/cmd/helm && $(GO) build -C bench -o $(BENCH)/bench .
	@XDG_CACHE_HOME=$(BENCH) $(BENCH)/bench $(CURDIR) $(BENCH)/helm $(TENANTS)
