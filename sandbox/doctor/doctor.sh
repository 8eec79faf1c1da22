#!/usr/bin/env bash
# Says what is missing on this machine, or on a cluster, for what one wants to do, and what repairs it. It needs bash and
# coreutils, since Go is one of the things that may be missing. It changes nothing, and asks no host but the cluster.
set -u

# What is needed, in GiB. Memory: the node runs in less than one, the Go compiler takes more.
readonly space_to_build=9 # to build the toolchain: its sources, the compiler's cache, the programs, then all of the below
readonly space_to_run=2    # images, volumes and etcd, when the toolchain is built
readonly space_to_deploy=8 # images, Pulumi and its plugins, for a cluster that is there
readonly space_to_test=8   # sources and the compiler's cache of our own modules and the linters
readonly memory_to_build=4
readonly memory_to_run=1
# The oldest Kubernetes that has all kinds that the stack declares: admission policies came last.
readonly oldest_minor=30

usage() {
	cat <<'END'
usage: doctor.sh [--for up|test|cluster|all] [--cluster <context>] [--registry <registry>] [--missing]

Prints a table of what is there and what is missing, each line with what repairs it.

  --for up           for the sandbox, a Kubernetes of this machine; or with --cluster for that one (the default)
  --for test         for make test, and the browser of make e2e
  --for cluster      for a cluster that is there
  --for all          for all of that
  --for node         for the sandbox's node alone, when its programs are built
  --cluster name     the cluster's context in the kubeconfig; "current", the default, is kubectl's own choice
  --registry name    the registry that the cluster takes images from, such as registry.example.com/team-a
  --missing          print no table, but a line for each thing that is missing

It exits with 0 when nothing that is needed is missing, with 1 otherwise, and with 2 when it is called in another way.
END
}

refuse() {
	echo "doctor.sh: $1" >&2
	usage >&2
	exit 2
}

aim=up cluster='' registry='' table=yes
while [ $# -gt 0 ]; do
	case $1 in
	--for | --cluster | --registry)
		[ $# -gt 1 ] || refuse "$1 needs a value"
		case $1 in
		--for) aim=${2:-up} ;;
		--cluster) cluster=$2 ;;
		--registry) registry=$2 ;;
		esac
		shift 2
		;;
	--missing) table='' && shift ;;
	--help | -h) usage && exit ;;
	*) refuse "unknown argument \"$1\"" ;;
	esac
done
case $aim in
up | test | cluster | all | node) ;;
*) refuse "--for \"$aim\": must be one of up, test, cluster, all" ;;
esac
[ "$aim" = up ] && [ -n "$cluster" ] && aim=cluster

# The checkout that this file is in. There is none when its text was handed to a shell.
repository=''
[[ ${BASH_SOURCE[0]-} == */* ]] && repository=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd -P)
if [ -n "${XDG_CACHE_HOME-}" ]; then
	cache=$XDG_CACHE_HOME/journal-sandbox
elif [ -n "${HOME-}" ]; then
	cache=$HOME/.cache/journal-sandbox
else
	cache=''
fi
[ -d "$cache" ] && cache=$(cd "$cache" && pwd -P)
built=''
[ -x "$cache/bin/kubernetes" ] && [ -x "$cache/bin/traefik" ] && [ -x "$cache/bin/pulumi" ] && built=yes

has() { command -v "$1" >/dev/null 2>&1; }

# The files that processes have open, once find_holder has listed them.
open_files=''
# The lines of the table. need is what the checks that run are for.
need='' faults=0
line() { # state, check, what was found, repair
	[ "$1" = missing ] && faults=$((faults + 1))
	if [ -n "$table" ]; then
		columns "$need" "$2" "$1: $3" "$4"
	elif [ "$1" = missing ]; then
		printf '%s: %s; %s\n' "$2" "$3" "$4"
	fi
}
# columns are two spaces apart or more, however long the words in them are.
columns() {
	if [ -n "$4" ]; then printf '%-7s  %-12s  %-52s  %s\n' "$@"; else printf '%-7s  %-12s  %s\n' "$1" "$2" "$3"; fi
}
ok() { line ok "$1" "$2" ''; }
missing() { line missing "$@"; }
warning() { line warning "$@"; }

# at_least says whether version $1 is $2 or newer. A release candidate is older than its release.
at_least() {
	local have want i number
	IFS=. read -ra have <<<"${1%%[-+]*}"
	IFS=. read -ra want <<<"$2"
	for i in "${!want[@]}"; do
		number=${have[i]-0} number=${number%%[!0-9]*}
		[ "${number:-0}" -gt "${want[i]}" ] && return 0
		[ "${number:-0}" -lt "${want[i]}" ] && return 1
	done
	[[ $1 != *rc* && $1 != *beta* ]]
}

### What every command needs.

tools() {
	local tool
	check_go
	for tool in git make; do
		if has $tool; then ok $tool "$(command -v $tool)"; else missing $tool 'not on PATH' "apt-get install $tool"; fi
	done
	check_checkout
}

check_go() {
	local wanted='' found word version flags proxy modules repair
	if [ -n "$repository" ]; then
		while read -r word version _; do
			[ "$word" = go ] && wanted=$version && break
		done <"$repository/go.mod"
	fi
	if ! has go; then
		repair='install it: https://go.dev/doc/install'
		# shellcheck disable=SC2016 # it is for the reader's shell
		[ -x /usr/local/go/bin/go ] && repair='export PATH=$PATH:/usr/local/go/bin'
		missing Go "not on PATH${wanted:+; $wanted or newer is needed}" "$repair"
		return
	fi
	# From a folder without a go.mod, which could make the go command download another version of itself.
	{ read -r found; read -r proxy; read -r modules; IFS= read -r flags; } < <(cd / && GOTOOLCHAIN=local go env GOVERSION GOPROXY GOMODCACHE GOFLAGS 2>/dev/null)
	if [[ $found != go[0-9]* ]]; then
		warning Go "$(command -v go), of an unknown version" "see that it is $wanted or newer: go version"
	elif [ -z "$wanted" ] || at_least "${found#go}" "$wanted"; then
		ok Go "$found"
	elif at_least "${found#go}" 1.21 && [ "$(cd / && go env GOTOOLCHAIN)" != local ]; then
		warning Go "$found, which downloads $wanted by itself" 'install a newer one: https://go.dev/doc/install'
	else
		missing Go "$found; $wanted or newer is needed" 'install it: https://go.dev/doc/install'
	fi
	if [[ " $flags " == *' -mod=vendor '* ]]; then
		missing modules "GOFLAGS=$flags: nothing is vendored here" 'go env -u GOFLAGS; unset GOFLAGS'
	elif [ "$proxy" != off ]; then
		ok modules 'from a proxy, which was not asked'
	elif [ -n "$built" ] || [ -d "$modules/k8s.io" ]; then
		warning modules 'GOPROXY=off: what is not in the module cache is not found' 'go env -u GOPROXY; unset GOPROXY'
	else
		missing modules 'GOPROXY=off and an empty module cache' 'go env -u GOPROXY; unset GOPROXY'
	fi
}

# check_checkout finds what git refuses to read. The tags of images name the commit that they are built from.
check_checkout() {
	local said
	[ -n "$repository" ] && has git || return 0
	if said=$(LC_ALL=C git -C "$repository" rev-parse --short HEAD 2>&1); then
		ok checkout "$said"
	elif [[ $said == *'dubious ownership'* ]]; then
		missing checkout "$repository belongs to another user" "git config --global --add safe.directory $repository"
	else
		missing checkout "$repository is no git checkout with a commit" 'use a clone of the repository: git clone'
	fi
}

### What the sandbox needs of a machine.

machine() {
	local system release architecture
	read -r system release architecture < <(uname -srm)
	if [ "$system" != Linux ]; then
		missing system "$system: the sandbox needs Linux" 'use a cluster that is there: make up CLUSTER=current'
		return
	fi
	case $architecture in
	x86_64) ok system "Linux $release, $architecture" ;;
	*) warning system "Linux on $architecture, where nobody has tried it" 'an x86_64 machine' ;;
	esac
	check_root
	check_debian
	if [ -n "$built" ] || [ "$aim" = node ]; then check_space $space_to_run; else check_space $space_to_build; fi
	check_memory
	check_kernel
	check_ports
}

check_root() {
	local key value capabilities=''
	if [ $EUID -ne 0 ]; then
		# shellcheck disable=SC2016 # it is for the reader's shell
		missing root "user $(id -un 2>/dev/null || echo $EUID): it makes namespaces, mounts, cgroups" 'sudo env "PATH=$PATH" make up'
		return
	fi
	while read -r key value; do
		[ "$key" = CapEff: ] && capabilities=$value
	done </proc/self/status
	# CAP_SYS_ADMIN and CAP_NET_ADMIN.
	if [ $(((0x${capabilities:-0} >> 21 & 1) * (0x${capabilities:-0} >> 12 & 1))) -eq 0 ]; then
		missing root 'root without rights, as in a container' 'run it outside of containers, or in a privileged one'
	else
		ok root yes
	fi
}

# check_debian looks for the tools that fetch Debian packages. The packages are unpacked, and not installed.
check_debian() {
	local tool lost='' name=unknown id='' version='' key value
	for tool in apt-get dpkg-deb tar; do
		has $tool || lost="$lost $tool"
	done
	if [ -n "$lost" ]; then
		missing Debian "no$lost: containerd and more come from its packages" 'use a machine with Debian 12 or newer'
		return
	fi
	if [ -r /etc/os-release ]; then
		while IFS='=' read -r key value; do
			value=${value%\"} value=${value#\"}
			case $key in
			ID) id=$value ;;
			VERSION_ID) version=$value ;;
			PRETTY_NAME) name=$value ;;
			esac
		done </etc/os-release
	fi
	if [ "$id" = debian ] && { [ -z "$version" ] || [ "${version%%.*}" -ge 12 ]; }; then
		ok Debian "$name"
	else
		warning Debian "$name, where nobody has tried it" 'a machine with Debian 12 or newer'
	fi
	check_sources
}

# check_sources looks for where packages come from. Lists of what is there are fetched when they are needed.
check_sources() {
	local file
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
		[ -s "$file" ] && ok packages 'from the sources of apt' && return
	done
	missing packages 'apt has no sources' 'write /etc/apt/sources.list, see man sources.list'
}

# check_space wants so many GiB where the cache is, or will be.
check_space() {
	local folder=$cache free='' type
	if [ -z "$cache" ]; then
		missing disk 'no place for the cache: HOME and XDG_CACHE_HOME are unset' 'export HOME=/root'
		return
	fi
	while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
	{ read -r _; read -r _ _ _ free _; } < <(df -Pk "$folder" 2>/dev/null)
	if [[ ! $free =~ ^[0-9]+$ ]]; then
		warning disk "$folder: free space unknown" "see that there are $1 GiB"
	elif [ $((free >> 20)) -lt "$1" ]; then
		free=$((free * 10 >> 20))
		missing disk "$((free / 10)).$((free % 10)) GiB free in $folder, $1 are needed" 'make room, or set XDG_CACHE_HOME to a folder on a larger disk'
	else
		ok disk "$((free >> 20)) GiB free in $folder, $1 are needed"
	fi
	[ "$need" = sandbox ] || return 0
	type=$(stat -f -c %T "$folder" 2>/dev/null)
	if [[ $type == overlay* ]]; then
		missing filesystem "$folder is on overlayfs, as in a container" 'set XDG_CACHE_HOME to a folder on a volume'
	else
		ok filesystem 'no overlayfs'
	fi
}

check_memory() {
	local key value total=0
	while read -r key value _; do
		[ "$key" = MemTotal: ] && total=$value && break
	done </proc/meminfo
	total=$(((total + 524288) >> 20)) # the kernel keeps a part of what is built in
	if [ $total -lt $memory_to_run ]; then
		missing memory "less than $memory_to_run GiB" 'use a machine with 4 GiB'
	elif [ $total -lt $memory_to_build ] && [ -z "$built" ] && [ "$aim" != node ]; then
		warning memory "$total GiB; the compiler may need $memory_to_build" 'add swap, or use a machine with 4 GiB'
	else
		ok memory "$total GiB"
	fi
}

check_kernel() {
	local namespace lost='' controller root=/sys/fs/cgroup version=1 available='' word
	for namespace in net mnt pid uts ipc; do
		[ -e /proc/self/ns/$namespace ] || lost="$lost $namespace"
	done
	if [ -n "$lost" ]; then
		missing namespaces "the kernel has no$lost" "use Debian's own kernel"
	else
		ok namespaces 'net, mnt, pid, uts, ipc'
	fi

	# A module that is not loaded yet is loaded with the first mount.
	if [[ $(</proc/filesystems) == *$'\toverlay'* ]] || [ -e "/lib/modules/$(uname -r)/kernel/fs/overlayfs" ]; then
		ok overlayfs yes
	else
		missing overlayfs 'the kernel has none, and containers are made of it' "use Debian's own kernel"
	fi

	lost=''
	[ -e $root/cgroup.controllers ] && version=2 && available=$(<$root/cgroup.controllers)
	for controller in cpu memory pids; do
		word=''
		if [ $version = 2 ]; then
			[[ " $available " == *" $controller "* ]] && word=$controller
		elif [ -d $root/$controller ]; then
			word=$controller
		fi
		[ -n "$word" ] || lost="$lost $controller"
	done
	if [ -n "$lost" ]; then
		missing cgroups "version $version without$lost, which pods' limits need" "boot with cgroup_enable=${lost##* }"
	else
		ok cgroups "version $version: cpu, memory, pids"
	fi
}

# check_ports looks at the three ports of 127.0.0.1 that the node takes. Each may be another one.
check_ports() {
	local name variable port taken='' number socket twin
	for name in HTTP HTTPS API; do
		variable=JOURNAL_${name}_PORT port=${!variable-}
		[ -n "$port" ] || case $name in HTTP) port=8080 ;; HTTPS) port=8443 ;; API) port=16443 ;; esac
		if [[ ! $port =~ ^[0-9]{1,5}$ ]] || [ $((10#$port)) -lt 1 ] || [ $((10#$port)) -gt 65535 ]; then
			missing "$name port" "$variable \"$port\": not a TCP port" "set $variable to a number from 1 to 65535"
			continue
		fi
		number=$((10#$port)) twin=''
		[[ $taken =~ ([A-Z_]+)=$number' ' ]] && twin=${BASH_REMATCH[1]}
		taken="$taken$variable=$number "
		if [ -n "$twin" ]; then
			missing "$name port" "$twin and $variable are both $number" "set $variable to another port, such as $(free_port $number)"
		elif ! socket=$(listener $number); then
			ok "$name port" "$number"
		elif find_holder "$socket" && [ "$holder" = ours ]; then
			ok "$name port" "$number, the running sandbox has it"
		else
			missing "$name port" "$number is in use by ${holder:-another program}" "set $variable to a free port, such as $(free_port $number), or end that program"
		fi
	done
}

# free_port prints the next free port after $1.
free_port() {
	local port=$(($1 % 65535 + 1))
	while listener $port >/dev/null; do port=$((port % 65535 + 1)); done
	echo $port
}

# listener prints the socket that would keep 127.0.0.1:$1 from being opened, or fails.
listener() {
	local port address state inode file
	port=$(printf '%04X' "$1")
	for file in /proc/net/tcp /proc/net/tcp6; do
		[ -r $file ] || continue
		while read -r _ address _ state _ _ _ _ _ inode _; do
			[ "$state" = 0A ] || continue
			case $address in
			0100007F:"$port" | 00000000:"$port" | 0000000000000000FFFF00000100007F:"$port") ;;
			# A socket on all IPv6 addresses also takes the IPv4 ones, unless its program says otherwise.
			00000000000000000000000000000000:"$port") (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null || continue ;;
			*) continue ;;
			esac
			echo "$inode" && return 0
		done <$file
	done
	return 1
}

# find_holder sets holder to the program that has a socket, if this user may know, or to ours: the sandbox's node, whose
# files are in the cache.
find_holder() {
	local text pid='' found='' ours='' program
	holder=''
	# Listed once and split as text: bash reads a pipe byte by byte.
	[ -n "$open_files" ] || open_files=$(LC_ALL=C ls -l /proc/[0-9]*/fd 2>/dev/null)
	local IFS=$'\n'
	set -f # a line is no pattern
	for text in $open_files; do
		case $text in
		/proc/*/fd:)
			[ -n "$found" ] && break
			pid=${text#/proc/} pid=${pid%/fd:} ours=''
			;;
		*" -> socket:[$1]") found=$pid ;;
		*" -> ${cache:-none}/"*) ours=yes ;;
		esac
	done
	set +f
	[ -n "$found" ] || return 0
	if [ -n "$ours" ]; then
		holder=ours
		return
	fi
	IFS= read -r -d '' program 2>/dev/null <"/proc/$found/cmdline"
	holder="${program##*/} (process $found)"
}

### What the tests need besides.

tests() {
	local browser found=''
	for browser in chromium chromium-browser google-chrome google-chrome-stable headless_shell headless-shell chrome; do
		if has $browser; then found=$(command -v $browser) && break; fi
	done
	if [ -n "$found" ]; then
		ok browser "$found"
	elif [ "$aim" = all ]; then
		missing browser 'none for the browser tests of make e2e' 'apt-get install chromium'
	else
		warning browser 'none for the browser tests of make e2e' 'apt-get install chromium'
	fi
}

### What a cluster that is there needs.

# bounded runs kubectl with a time limit and without prompts. It writes no cache: a single look needs none.
bounded() {
	local limit=()
	has timeout && limit=(timeout 15)
	KUBECACHEDIR=/dev/null/none ${limit[@]+"${limit[@]}"} "${kubectl[@]}" --request-timeout=5s "$@" </dev/null 2>&1
}

a_cluster() {
	local context said
	if has kubectl; then
		kubectl=(kubectl) && ok kubectl "$(command -v kubectl)"
	elif [ -x "$cache/bin/kubernetes" ]; then
		kubectl=("$cache/bin/kubernetes" kubectl) && ok kubectl "the sandbox's own"
	else
		missing kubectl 'not on PATH; the cluster was not looked at' 'install it: https://kubernetes.io/docs/tasks/tools/'
		return
	fi
	if [ -z "$cluster" ] || [ "$cluster" = current ]; then
		if ! context=$(bounded config current-context); then
			missing kubeconfig "no current context in ${KUBECONFIG:-${HOME-}/.kube/config}" 'kubectl config use-context <one of: kubectl config get-contexts -o name>'
			return
		fi
	elif ! bounded config get-contexts "$cluster" >/dev/null; then
		missing kubeconfig "no context \"$cluster\" in ${KUBECONFIG:-${HOME-}/.kube/config}" 'CLUSTER=<one of: kubectl config get-contexts -o name>'
		return
	else
		context=$cluster
	fi
	ok kubeconfig "context $context"
	kubectl+=(--context "$context")
	check_images "$context"
	if ! said=$(bounded get --raw /version); then
		missing server "${said##*$'\n'}" "see that the cluster runs: kubectl --context $context get --raw /version"
		return
	fi
	check_server "$said"
	check_rights
	check_classes
}

# check_images finds how images get into the cluster.
check_images() {
	local program=''
	if [ -n "$registry" ]; then
		if [[ $registry =~ ^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?$ ]]; then
			ok images "by $registry"
		else
			missing images "\"$registry\": no registry" 'REGISTRY=<host>[:<port>][/<path>], such as registry.example.com/team-a'
		fi
		return
	fi
	case $1 in
	kind-*) program=kind ;;
	k3d-*) program=k3d ;;
	esac
	if [ -z "$program" ]; then
		missing images 'no registry from which the cluster takes them' 'REGISTRY=registry.example.com/team-a, one that you may push to'
	elif has $program; then
		ok images "loaded by $program"
	else
		missing images "$program is not on PATH, which loads them" "install $program, or set REGISTRY=registry.example.com/team-a"
	fi
}

check_server() {
	local version
	if [[ $1 =~ \"gitVersion\":\ *\"v([0-9]+\.[0-9]+[^\"]*)\" ]]; then
		version=${BASH_REMATCH[1]}
		if at_least "$version" 1.$oldest_minor; then
			ok server "Kubernetes $version"
		else
			missing server "Kubernetes $version; 1.$oldest_minor or newer is needed" 'update the cluster, or use another one'
		fi
	else
		warning server 'Kubernetes of an unknown version' "see that it is 1.$oldest_minor or newer: kubectl version"
	fi
}

check_rights() {
	local kind said lost=''
	for kind in namespaces clusterroles.rbac.authorization.k8s.io validatingadmissionpolicies.admissionregistration.k8s.io; do
		said=$(bounded auth can-i create $kind --quiet) && continue
		if [ -n "$said" ] && [[ $said != no* && $said != Warning* ]]; then
			missing rights "${said##*$'\n'}" 'sign in to the cluster, and see: kubectl auth whoami'
			return
		fi
		lost="$lost ${kind%%.*}"
	done
	if [ -n "$lost" ]; then
		missing rights "may not create$lost" 'use the kubeconfig of an administrator of the cluster'
	else
		ok rights 'may create namespaces, roles and admission policies'
	fi
}

check_classes() {
	local name default classes='' chosen='' said
	if said=$(bounded get storageclasses --output 'jsonpath={range .items[*]}{.metadata.name} {.metadata.annotations.storageclass\.kubernetes\.io/is-default-class}{"\n"}{end}'); then
		while read -r name default; do
			[ -n "$name" ] && classes="$classes $name"
			[ "$default" = true ] && chosen=$name
		done < <(printf '%s\n' "$said")
		if [ -n "$chosen" ]; then
			ok StorageClass "$chosen"
		elif [ -n "$classes" ]; then
			warning StorageClass "none of$classes is the default" 'set journal:redis.storage.class to one of them'
		else
			missing StorageClass 'none, so that Redis has no place for its data' 'install a provisioner: https://kubernetes.io/docs/concepts/storage/storage-classes/'
		fi
	else
		warning StorageClass "not known: ${said##*$'\n'}" 'kubectl get storageclasses'
	fi
	if ! said=$(bounded get ingressclasses --output 'jsonpath={.items[*].metadata.name}'); then
		warning IngressClass "not known: ${said##*$'\n'}" 'kubectl get ingressclasses'
	elif [ -z "$said" ]; then
		warning IngressClass 'none, so that nobody can reach the page' 'write journal:ingressController: {}, which installs Traefik'
	elif [[ " $said " == *' traefik '* ]]; then
		ok IngressClass "$said"
	else
		warning IngressClass "$said, and the stack asks for traefik" 'set journal:exposure.class to it'
	fi
}

[ -z "$table" ] || columns NEED CHECK STATE REPAIR
need=all
[ "$aim" = node ] || tools
case $aim in
up | all | node)
	need=sandbox
	machine
	;;
cluster)
	need=cluster
	check_debian
	check_space $space_to_deploy
	;;
test)
	need='test'
	check_debian
	check_space $space_to_test
	;;
esac
if [ "$aim" = test ] || [ "$aim" = all ]; then
	need='test'
	tests
fi
if [ "$aim" = cluster ] || [ "$aim" = all ]; then
	need=cluster
	a_cluster
fi
[ -z "$table" ] || [ $faults -eq 0 ] || echo "Missing: $faults."
[ $faults -eq 0 ]
