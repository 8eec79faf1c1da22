# Every command is here; `make help` lists them. CI runs the same ones.
STACK ?= dev
# Which group of end-to-end tests `make e2e` runs: journal, tenancy, change, exposure, ingresscontroller or scale, or all when it is empty.
RUN ?=

SANDBOX := go run -C sandbox ./cmd/sandbox
TOOL    := go tool -modfile=$(CURDIR)/tools/go.mod
# Modules of our own code. The toolchain's modules hold a main each and are vetted as they are built.
MODULES := . services sandbox bench

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

.PHONY: go
go: # Go is the one thing that has to be there
	@command -v go >/dev/null || { echo 'no go command: install Go 1.26 or newer, https://go.dev/dl/' >&2; exit 1; }

## The sandbox: a real one-node Kubernetes on this machine, and the stack on it.

.PHONY: up
up: go ## start the sandbox and deploy STACK (dev)
	@$(SANDBOX) up --stack $(STACK)

.PHONY: preview
preview: go ## show what `make up` would change
	@$(SANDBOX) preview --stack $(STACK)

.PHONY: down
down: go ## stop the sandbox; its data stays
	@$(SANDBOX) down

.PHONY: reset
reset: go ## stop the sandbox and delete its data
	@$(SANDBOX) reset --yes

.PHONY: status
status: go ## what runs, and where
	@$(SANDBOX) status --stack $(STACK)

.PHONY: logs
logs: go ## logs of all pods, or of one part: make logs APP=api
	@$(SANDBOX) logs $(APP)

.PHONY: kubeconfig
kubeconfig: go ## print the path of the sandbox's kubeconfig
	@$(SANDBOX) kubeconfig

.PHONY: onboard
onboard: go ## a kubeconfig for a user whom the stack declares: make onboard WHO=alice
	@test -n "$(WHO)" || { echo 'WHO is missing: write a user of the stack, such as make onboard WHO=alice' >&2; exit 1; }
	@kubeconfig=$$($(SANDBOX) kubeconfig) && go run -C services ./onboard $(WHO) --kubeconfig "$$kubeconfig" --out "$(CURDIR)/$(WHO).kubeconfig"

.PHONY: images
images: go ## build the images; push them with REGISTRY=registry.example.com/team
	@$(SANDBOX) images $(if $(REGISTRY),--push $(REGISTRY))

## Tests

.PHONY: test
test: vet lint unit score ## everything that needs no cluster and no root

.PHONY: vet
vet: go
	@for m in $(MODULES); do (cd $$m && go vet ./...) || exit 1; done
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not formatted, run gofmt -w on: $$files" >&2; exit 1; }

.PHONY: lint
lint: go
	@for m in $(MODULES); do (cd $$m && $(TOOL) golangci-lint run ./...) || exit 1; done

.PHONY: unit
unit: go
	@set -e; redis=$$(go run -C sandbox ./cmd/debian-program redis-server usr/bin/redis-server); \
	for m in $(MODULES); do (cd $$m && REDIS_SERVER=$$redis go test ./...); done

# kube-score over the objects of every stack. A tenant's network policies are there before its pods are, so no pod in the
# stack is theirs; the one other check that is left out has its reason in components/kube/pod.go.
SCORE := $(TOOL) kube-score score --kubernetes-version v1.34 --ignore-test networkpolicy-targets-pod

.PHONY: score
score: go
	@for f in stacks/testdata/*.yaml; do $(SCORE) --output-format ci $$f > /dev/null || { $(SCORE) $$f; exit 1; }; done

.PHONY: golden
golden: go ## rewrite the golden files after a change that is meant
	go test ./stacks -update

# The groups run in the order of their files: the journal's ends by stopping and starting the cluster. The programs that talk
# to the API server are tested with one of their own as well, in which the clock and the moments of failure are the test's.
.PHONY: e2e
e2e: go ## end-to-end tests on the sandbox; one group with RUN=journal, tenancy, change, exposure, ingresscontroller or scale
	@go -C sandbox test -tags e2e -count 1 -timeout 40m -v ./e2e $(if $(RUN),-run '(?i)^Test$(RUN)$$')
ifneq ($(filter tenancy,$(or $(RUN),tenancy)),)
	@go -C services test -tags e2e -count 1 ./namespace-controller/... ./onboard/...
endif

# A node of its own, in a cache of its own, with the programs that `make up` has built; nothing of it stays.
BENCH   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/journal-bench
TENANTS ?= 10 50 100 300

.PHONY: bench
bench: go ## seconds, memory and requests of Pulumi, kubectl and Helm for many tenants: make bench TENANTS="10 50"
	@mkdir -p $(BENCH)/journal-sandbox && for d in bin debian images; do ln -sfn $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/journal-sandbox/$$d $(BENCH)/journal-sandbox/$$d; done
	@go build -C bench/helm -o $(BENCH)/helm helm.sh/helm/v4/cmd/helm && go build -C bench -o $(BENCH)/bench .
	@XDG_CACHE_HOME=$(BENCH) JOURNAL_HTTP_PORT=8181 JOURNAL_API_PORT=16543 $(BENCH)/bench $(CURDIR) $(BENCH)/helm $(TENANTS)
