# All commands of the repository. `make help` lists them, and CI runs the same ones.
STACK ?= dev
# Where to deploy: to the sandbox if empty, else `current` or a context of your kubeconfig. REGISTRY is where that cluster pulls from.
CLUSTER ?=
REGISTRY ?=
# More flags for `go test`, such as -count=1 to run all tests again.
TESTFLAGS ?=
# The groups of end-to-end tests that `make e2e` runs, such as RUN="change journal"; all if empty. `delivery` stands for those of the
# way from a commit to production.
RUN ?=
ASKED := $(patsubst delivery,render deploy prenv workflows,$(RUN))
# With 2, all groups run on two nodes at the same time, which needs 16 GiB of memory.
NODES ?= 1

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/journal-sandbox

# The flags and the build cache of sandbox/toolchain, so that packages shared by tests and sandbox are compiled once.
export GOFLAGS := -trimpath -buildvcs=false -gcflags=all=-dwarf=false
export CGO_ENABLED := 0
export GOCACHE := $(CACHE)/go-build
# The compiler runs without garbage collection, since it ends before it needs one. The programs that it builds collect as usual.
NOGC    := GOGC=off GOMEMLIMIT=2500MiB
GO      := $(NOGC) go
# Go does not run a test again if its code and the files that it reads are unchanged. It notices a file of another module only if
# the test names it as os.Getenv("PWD") + "/../../file"; `make race` refuses other names. go test need not vet, since `make vet` does.
GOTEST  := go test -vet=off -toolexec 'env $(NOGC)' $(TESTFLAGS)
BUILD   := $(GO) run -C sandbox ./cmd/bootstrap
TOOLS   := $(CACHE)/tools
WHERE   := --stack $(STACK) $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(REGISTRY),--registry $(REGISTRY))
# The modules with our own code, and the folder with that of the log agent: its main needs all of the Collector. Mains of that kind,
# as in sandbox/toolchain/programs, are vetted when they are built.
MODULES := . services services/log-agent/tenantprocessor sandbox bench supply tools/workflows

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

.PHONY: go
go: # Go is the only program that must be installed
	@command -v go >/dev/null || { echo 'no go command: install Go 1.26 or newer, https://go.dev/dl/' >&2; exit 1; }

.PHONY: doctor
doctor: ## what is missing here, and what repairs it; FOR=up (the default), test, cluster or all
	@sandbox/doctor/doctor.sh --for $(or $(FOR),up) $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(REGISTRY),--registry $(REGISTRY))

## The sandbox: a real one-node Kubernetes on this machine, and the stack on it.

.PHONY: up
up: ## start the sandbox and deploy STACK (dev); or deploy to a cluster that is there: make up CLUSTER=current
	@sandbox/doctor/doctor.sh --missing --for up $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(REGISTRY),--registry $(REGISTRY))
	@test -x $(CACHE)/bin/sandbox || echo 'first time: programs are built from source, which takes 7 to 15 minutes on two cores' >&2
	@$(BUILD) $(if $(CLUSTER),,-with node) up $(WHERE)

.PHONY: preview
preview: go ## show what `make up` would change
	@$(BUILD) preview $(WHERE)

.PHONY: render
render: go ## the objects of STACK as plain YAML, for kubectl, Argo CD or Flux: make render STACK=prod, into rendered/prod or OUT
	@$(GO) run ./render --stack $(STACK) $(if $(OUT),--out $(OUT))

# go run would make 1 of every exit code. plan and apply run the command supply, which is beside them.
DEPLOY := bin/deploy
SUPPLY := bin/supply

.PHONY: $(DEPLOY)
$(DEPLOY): go
	@$(GO) build -o $@ ./deploy

.PHONY: $(SUPPLY)
$(SUPPLY): go
	@$(GO) build -C supply -o ../$@ .

.PHONY: plan
plan: $(DEPLOY) $(SUPPLY) ## what an update of STACK would do, written down to be reviewed: make plan STACK=prod, into plans/prod or OUT
	@$(DEPLOY) plan --stack $(STACK) $(if $(OUT),--out $(OUT))

.PHONY: apply
apply: $(DEPLOY) $(SUPPLY) ## do exactly what a plan says, with verified images, or refuse before anything changes: make apply PLAN=plans/prod
	@test -n "$(PLAN)" || { echo 'PLAN is missing: write the folder that make plan has printed, such as make apply PLAN=plans/prod' >&2; exit 1; }
	@$(DEPLOY) apply $(PLAN)

.PHONY: drift
drift: $(DEPLOY) ## what others have changed in the cluster since STACK was deployed, and nothing if that is nothing
	@$(DEPLOY) drift --stack $(STACK)

.PHONY: pr-env-build
pr-env-build: go
	@$(GO) build -o bin/render ./render && $(GO) build -C services -o $(CURDIR)/bin/ ./pr-env

.PHONY: pr-env
pr-env: go ## the journal of a pull request in a temporary namespace: make pr-env PR=123 TENANT=team-a SET="api.image=...", CLASS, TTL
	@test -n "$(PR)" || { echo 'PR is missing: write the number of the pull request, such as make pr-env PR=123' >&2; exit 1; }
	@$(MAKE) --no-print-directory pr-env-build
	@bin/pr-env up "$(PR)" $(SET) --render bin/render $(if $(TENANT),--tenant "$(TENANT)") $(if $(CLASS),--class "$(CLASS)") $(if $(TTL),--ttl "$(TTL)")

.PHONY: pr-env-down
pr-env-down: go ## delete it, with its data: make pr-env-down PR=123 TENANT=team-a
	@test -n "$(PR)" || { echo 'PR is missing: write the number of the pull request, such as make pr-env-down PR=123' >&2; exit 1; }
	@$(MAKE) --no-print-directory pr-env-build
	@bin/pr-env down "$(PR)" $(if $(TENANT),--tenant "$(TENANT)")

.PHONY: render-diff
render-diff: go ## what a change does to the objects of every stack, as Markdown: make render-diff BASE=origin/main, also into OUT
	@$(GO) run ./render/diff --base $(or $(BASE),origin/main) $(if $(OUT),--out $(OUT))

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
images: go ## build the images of STACK; push them with REGISTRY=registry.example.com/team, and sign them with KEY= and CHAIN=
	@test -z "$(KEY)" || test -n "$(CHAIN)" || { echo 'CHAIN is missing: write the file with the certificate of KEY and those of its issuers' >&2; exit 1; }
	@images=$$($(BUILD) images --stack $(STACK) $(if $(REGISTRY),--registry $(REGISTRY))) && echo "$$images" $(if $(KEY),&& \
	$(GO) run -C supply . sign --key $(abspath $(KEY)) --chain $(abspath $(CHAIN)) $$(echo "$$images" | sed 's/: /=/') >&2)

.PHONY: pin
pin: $(DEPLOY) $(SUPPLY) ## write images with digests into the file of STACK: make images REGISTRY=... | make pin STACK=prod; or IMAGES="redis.image=redis:7.4.2"
	@images="$(or $(IMAGES),$$(test -t 0 || sed 's/: /=/'))"; \
	test -n "$$images" || { echo 'IMAGES is missing: write keys and images, such as make pin IMAGES="redis.image=docker.io/library/redis:7.4.2"' >&2; exit 1; }; \
	pinned=$$($(SUPPLY) digest $$images) && echo "$$pinned" | $(DEPLOY) pin --stack $(STACK)

.PHONY: verify
verify: $(SUPPLY) ## fail unless images are signed and have a bill: make verify TRUST=trust IMAGES="api.image=registry.example.com/app:1.2.3@sha256:..."
	@$(SUPPLY) verify --trust $(or $(TRUST),trust) $(IMAGES)

## What the workflows in .github call, beside the above. docs/ci.md has their variables.

.PHONY: ci-login
ci-login: go ## in a workflow: a kubeconfig for the cluster KUBE_SERVER that logs in with GitHub's token for the job
	@$(GO) build -C services -o $(TOOLS)/ ./ci-login
	@$(TOOLS)/ci-login login

.PHONY: comment
comment: go ## in a workflow: the file BODY as the one comment of its kind on the PULL_REQUEST
	@test -n "$(BODY)" || { echo 'BODY is missing: write the file of the comment, such as make comment BODY=render-diff.md' >&2; exit 1; }
	@$(GO) run -C services ./pr-comment "$(abspath $(BODY))"

.PHONY: on-main
on-main: ## is HEAD on main? A tag may be anywhere, and production takes what was merged
	@git merge-base --is-ancestor HEAD $(or $(BASE),origin/main) || \
	{ echo "$$(git rev-parse HEAD) is not on $(or $(BASE),origin/main): merge it, and tag the commit of the merge" >&2; exit 1; }

## Tests

.PHONY: test
test: vet lint unit score vuln ## everything that needs no cluster and no root

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

# The number of modules that are tested at the same time. Tests that wait leave the processor to others.
JOBS ?= 2

.PHONY: unit
unit: go
	@set -e; redis=$$($(GO) run -C sandbox ./cmd/toolchain debian redis-server usr/bin/redis-server); \
	REDIS_SERVER=$$redis $(MAKE) --no-print-directory -j$(JOBS) -Otarget $(MODULES:%=unit-%)

.PHONY: $(MODULES:%=unit-%)
$(MODULES:%=unit-%): unit-%:
	@cd $* && $(GOTEST) ./...

# The race detector needs a C compiler and compiles all packages anew. CI runs it, and `make test` does not.
.PHONY: race
race: go ## the unit tests again, all of them, with the race detector and in another order
	@$(GO) build -C tools -o $(TOOLS)/ ./testreads
	@cd tools && $(GOTEST) ./testreads
	@set -e; redis=$$($(GO) run -C sandbox ./cmd/toolchain debian redis-server usr/bin/redis-server); \
	for m in $(MODULES); do (cd $$m && CGO_ENABLED=1 REDIS_SERVER=$$redis $(GOTEST) -race -shuffle=on -exec $(TOOLS)/testreads ./...); done

# kube-score checks the objects of every stack. The test networkpolicy-targets-pod is left out: the NetworkPolicies of tenants select
# pods that are not part of the stack. components/kube/pod.go says why one other test is left out.
SCORE := $(TOOLS)/kube-score score --kubernetes-version v1.34 --ignore-test networkpolicy-targets-pod

.PHONY: score
score: tools
	@for f in stacks/testdata/*.yaml; do $(SCORE) --output-format ci $$f > /dev/null || { $(SCORE) $$f; exit 1; }; done

# vuln compares the modules with tools/vulndb, which holds the vulnerabilities that upgrades have fixed here, and needs no network.
# VULNDB=https://vuln.go.dev takes Go's whole database. It checks licences and the update bot's configuration as well.
# tools/exceptions.json says what passes for a while.
.PHONY: vuln
vuln: go ## no module is known to be vulnerable, or has a licence that is not allowed
	@cd tools && $(GOTEST) -count 1 . $(if $(VULNDB),-db $(VULNDB))

.PHONY: golden
golden: go ## rewrite the golden files after a change that is meant
	$(GOTEST) ./stacks ./docs -update

# The groups of sandbox/e2e run on one cluster, in the order of their files. The group journal ends by stopping and starting the cluster.
# The programs have tests with an API server or a log store of their own as well, which control the clock and the failures.
E2E := $(GOTEST) -tags e2e -count 1 -timeout 80m
space := $(subst ,, )
groups = '(?i)^Test($(subst $(space),|,$(strip $(1))))$$'

.PHONY: e2e
e2e: e2e-sandbox e2e-programs ## end-to-end tests on the sandbox, or on CLUSTER; some groups with RUN=change, cluster, delivery, deploy, docs, exposure, firstday, ingresscontroller, journal, node, observe, prenv, prod, pulumi, render, rules, scale, tenancy, toolchain or workflows

.PHONY: e2e-build
e2e-build: go
	@$(BUILD) -with node,engine

# Groups wait for most of their time. With NODES=2, SECOND has those of a second node, which has a cache and ports of its own and shares
# what is built. The group journal comes last and alone, as it compares the machine before and after the sandbox.
SECOND := change cluster deploy prod rules scale tenancy
BESIDE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/journal-second
second := XDG_CACHE_HOME=$(BESIDE) JOURNAL_HTTP_PORT=28080 JOURNAL_HTTPS_PORT=28443 JOURNAL_API_PORT=26443

.PHONY: e2e-first
e2e-first:
	@cd sandbox && $(E2E) -v ./e2e -skip $(call groups,journal $(SECOND))

# What it says comes at the end, so that the lines of the two do not mix. A run that was killed may have left its node.
.PHONY: e2e-second
e2e-second:
	@mkdir -p $(BESIDE)/journal-sandbox && for d in bin debian images go-build tools toolchain.lock; do ln -sfn $(CACHE)/$$d $(BESIDE)/journal-sandbox/$$d; done
	@$(second) $(BUILD) reset --yes
	@$(second) $(MAKE) e2e-sandbox RUN="$(SECOND)" > $(BESIDE)/said 2>&1; echo $$? > $(BESIDE)/code
	@cat $(BESIDE)/said
	@$(second) $(BUILD) reset --yes
	@exit $$(cat $(BESIDE)/code)

.PHONY: e2e-sandbox
ifeq ($(NODES)$(RUN)$(CLUSTER),2)
e2e-sandbox: e2e-build
	@$(MAKE) -j2 e2e-first e2e-second
	@$(MAKE) e2e-sandbox RUN="journal node toolchain"
else
e2e-sandbox: e2e-build
ifneq ($(filter-out node toolchain workflows,$(or $(ASKED),all)),)
	@cd sandbox && JOURNAL_E2E_CLUSTER=$(CLUSTER) JOURNAL_E2E_REGISTRY=$(REGISTRY) $(E2E) -v ./e2e $(if $(ASKED),-run $(call groups,$(filter-out node toolchain workflows,$(ASKED))))
endif
ifneq ($(filter toolchain,$(or $(ASKED),toolchain)),)
	@cd sandbox && $(E2E) ./toolchain
endif
ifneq ($(filter node,$(or $(ASKED),node)),)
	@cd sandbox && $(E2E) ./node
endif
endif

STORES := VICTORIA_LOGS=$(TOOLS)/victoria-logs VICTORIA_METRICS=$(TOOLS)/victoria-metrics VMALERT=$(TOOLS)/vmalert

# These have bounds in seconds, which a machine that runs the sandbox's groups at the same time does not keep.
.PHONY: e2e-programs
e2e-programs: e2e-build
ifneq ($(filter tenancy,$(or $(ASKED),tenancy)),)
	@cd services && $(E2E) ./namespace-controller/... ./onboard/... ./policies/...
endif
ifneq ($(filter prenv,$(or $(ASKED),prenv)),)
	@cd services && $(E2E) ./pr-env/...
endif
ifneq ($(filter deploy,$(or $(ASKED),deploy)),)
	@$(GO) build -C sandbox/toolchain/language-go -ldflags='-s -w' -o $(CACHE)/bin/ github.com/pulumi/pulumi/sdk/v3/go/pulumi-language-go
	@PATH=$(CACHE)/bin:$$PATH $(E2E) ./deploy
endif
ifneq ($(filter observe,$(or $(ASKED),observe)),)
	@$(GO) build -C sandbox/toolchain/stores -ldflags='-s -w' -o $(TOOLS)/ tool
	@cd services && $(STORES) $(E2E) ./reader/... ./figures/...
	@$(STORES) $(E2E) ./components/observe/...
	@cd services/log-agent && $(E2E) ./...
endif
ifneq ($(filter workflows,$(or $(ASKED),workflows)),)
	@cd services && $(E2E) ./ci-login/...
	@$(GO) build -C tools/act -ldflags='-s -w' -o $(TOOLS)/ github.com/nektos/act
	@cd tools/workflows && ACT=$(TOOLS)/act $(E2E) .
endif

# The benchmark has a node of its own, with its own cache and ports, and removes it at the end.
BENCH   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/journal-bench
TENANTS ?= 10 50 100 300

.PHONY: bench
bench: go ## seconds, memory and requests of Pulumi, kubectl and Helm for many tenants: make bench TENANTS="10 50"
	@$(BUILD) -with node,engine
	@mkdir -p $(BENCH)/journal-sandbox && for d in bin debian images; do ln -sfn $(CACHE)/$$d $(BENCH)/journal-sandbox/$$d; done
	@$(GO) build -C bench/helm -o $(BENCH)/helm helm.sh/helm/v4/cmd/helm && $(GO) build -C bench -o $(BENCH)/bench .
	@XDG_CACHE_HOME=$(BENCH) $(BENCH)/bench $(CURDIR) $(BENCH)/helm $(TENANTS)
