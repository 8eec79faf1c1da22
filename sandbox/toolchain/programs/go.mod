module example.com/journal/sandbox/toolchain/programs

go 1.26.4

require (
	cel.dev/expr v0.25.2
	cloud.google.com/go v0.123.0
	cloud.google.com/go/auth v0.24.1-0.20261001053825-dbc26066f70a
	cloud.google.com/go/auth/oauth2adapt v0.3.0
	cloud.google.com/go/compute/metadata v0.10.0
	cloud.google.com/go/iam v1.12.0
	cloud.google.com/go/kms v1.32.0
	cloud.google.com/go/logging v1.19.0
	cloud.google.com/go/longrunning v1.2.0
	cloud.google.com/go/storage v1.62.3
	cyphar.com/go-pathrs v0.2.5
	dario.cat/mergo v1.0.2
	example.com/journal v0.0.0
	example.com/journal/sandbox v0.0.0
	example.com/journal/services v0.0.0
	github.com/AdamSLevy/jsonrpc2/v14 v14.1.0
	github.com/AlecAivazis/survey/v2 v2.3.7
	github.com/Azure/azure-sdk-for-go v68.0.0+incompatible
	github.com/Azure/azure-sdk-for-go/sdk/azcore v1.22.0
	github.com/Azure/azure-sdk-for-go/sdk/azidentity v1.14.0
	github.com/Azure/azure-sdk-for-go/sdk/internal v1.12.0
	github.com/Azure/azure-sdk-for-go/sdk/keyvault/azkeys v0.10.0
	github.com/Azure/azure-sdk-for-go/sdk/keyvault/internal v0.7.1
	github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/dns/armdns v1.2.0
	github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/privatedns/armprivatedns v1.3.0
	github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resourcegraph/armresourcegraph v0.10.0
	github.com/Azure/azure-sdk-for-go/sdk/storage/azblob v1.3.1
	github.com/Azure/go-ansiterm v0.0.0-20250102033503-faa5f7b0171c
	github.com/Azure/go-autorest v14.2.0+incompatible
	github.com/Azure/go-autorest/autorest v0.11.30
	github.com/Azure/go-autorest/autorest/adal v0.9.22
	github.com/Azure/go-autorest/autorest/azure/auth v0.5.13
	github.com/Azure/go-autorest/autorest/azure/cli v0.4.6
	github.com/Azure/go-autorest/autorest/date v0.3.0
	github.com/Azure/go-autorest/autorest/to v0.4.1
	github.com/Azure/go-autorest/logger v0.2.1
	github.com/Azure/go-autorest/tracing v0.6.0
	github.com/AzureAD/microsoft-authentication-library-for-go v1.7.2
	github.com/BurntSushi/toml v1.6.0
	github.com/HdrHistogram/hdrhistogram-go v1.2.0
	github.com/JeffAshton/win_pdh v0.0.0-20161109143554-76bb4ee9f0ab
	github.com/KimMachineGun/automemlimit v0.7.0
	github.com/MakeNowJust/heredoc v1.0.0
	github.com/Masterminds/goutils v1.1.1
	github.com/Masterminds/semver/v3 v3.4.0
	github.com/Masterminds/sprig/v3 v3.3.0
	github.com/Masterminds/squirrel v1.5.4
	github.com/Masterminds/vcs v1.13.3
	github.com/Microsoft/go-winio v0.6.2
	github.com/Microsoft/hnslib v0.1.3
	github.com/NYTimes/gziphandler v1.1.1
	github.com/ProtonMail/go-crypto v1.1.6
	github.com/VividCortex/gohistogram v1.0.0
	github.com/abbot/go-http-auth v0.0.0-00010101000000-000000000000
	github.com/aead/chacha20 v0.0.0-20180709150244-8b13a72661da
	github.com/agext/levenshtein v1.2.3
	github.com/akamai/AkamaiOPEN-edgegrid-golang/v11 v11.1.0
	github.com/alecthomas/chroma v0.10.0
	github.com/alecthomas/chroma/v2 v2.13.0
	github.com/alibabacloud-go/alibabacloud-gateway-spi v0.0.5
	github.com/alibabacloud-go/darabonba-openapi/v2 v2.2.3
	github.com/alibabacloud-go/debug v1.0.1
	github.com/alibabacloud-go/tea v1.5.2
	github.com/alibabacloud-go/tea-utils/v2 v2.0.9
	github.com/aliyun/credentials-go v1.4.7
	github.com/andybalholm/brotli v1.2.1
	github.com/antlr4-go/antlr/v4 v4.13.1
	github.com/apparentlymart/go-cidr v1.1.1
	github.com/apparentlymart/go-textseg/v13 v13.0.0
	github.com/apparentlymart/go-textseg/v15 v15.0.0
	github.com/armon/go-metrics v0.4.1
	github.com/asaskevich/govalidator v0.0.0-20230301143203-a9d515a09cc2
	github.com/atotto/clipboard v0.1.4
	github.com/aws/aws-sdk-go v1.50.36
	github.com/aws/aws-sdk-go-v2 v1.47.1
	github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream v1.7.14
	github.com/aws/aws-sdk-go-v2/config v1.33.7
	github.com/aws/aws-sdk-go-v2/credentials v1.20.7
	github.com/aws/aws-sdk-go-v2/feature/ec2/imds v1.20.1
	github.com/aws/aws-sdk-go-v2/feature/s3/manager v1.16.15
	github.com/aws/aws-sdk-go-v2/internal/configsources v1.5.4
	github.com/aws/aws-sdk-go-v2/internal/endpoints/v2 v2.8.4
	github.com/aws/aws-sdk-go-v2/internal/ini v1.8.4
	github.com/aws/aws-sdk-go-v2/internal/v4a v1.5.4
	github.com/aws/aws-sdk-go-v2/service/ec2 v1.209.0
	github.com/aws/aws-sdk-go-v2/service/ecs v1.53.15
	github.com/aws/aws-sdk-go-v2/service/internal/accept-encoding v1.13.19
	github.com/aws/aws-sdk-go-v2/service/internal/checksum v1.9.23
	github.com/aws/aws-sdk-go-v2/service/internal/presigned-url v1.14.4
	github.com/aws/aws-sdk-go-v2/service/internal/s3shared v1.19.31
	github.com/aws/aws-sdk-go-v2/service/kms v1.30.1
	github.com/aws/aws-sdk-go-v2/service/lightsail v1.57.1
	github.com/aws/aws-sdk-go-v2/service/route53 v1.70.2
	github.com/aws/aws-sdk-go-v2/service/s3 v1.105.1
	github.com/aws/aws-sdk-go-v2/service/signin v1.10.2
	github.com/aws/aws-sdk-go-v2/service/ssm v1.56.13
	github.com/aws/aws-sdk-go-v2/service/sso v1.38.2
	github.com/aws/aws-sdk-go-v2/service/ssooidc v1.43.2
	github.com/aws/aws-sdk-go-v2/service/sts v1.51.2
	github.com/aws/smithy-go v1.28.1
	github.com/aymanbagabas/go-osc52/v2 v2.0.1
	github.com/aymerick/douceur v0.2.0
	github.com/aziontech/azionapi-go-sdk v0.147.0
	github.com/baidubce/bce-sdk-go v0.9.270
	github.com/bazelbuild/buildtools v0.0.0-20260211083412-859bfffeef82
	github.com/benbjohnson/clock v1.3.5
	github.com/beorn7/perks v1.0.1
	github.com/blang/semver v3.5.1+incompatible
	github.com/blang/semver/v4 v4.0.0
	github.com/boombuler/barcode v1.0.1
	github.com/bytedance/sonic/loader v0.5.3
	github.com/ccojocar/zxcvbn-go v1.0.1
	github.com/cenkalti/backoff/v3 v3.2.2
	github.com/cenkalti/backoff/v4 v4.3.0
	github.com/cenkalti/backoff/v5 v5.0.3
	github.com/cespare/xxhash/v2 v2.3.0
	github.com/chai2010/gettext-go v1.0.2
	github.com/charmbracelet/bubbles v1.0.0
	github.com/charmbracelet/bubbletea v1.3.10
	github.com/charmbracelet/colorprofile v0.4.3
	github.com/charmbracelet/glamour v0.6.0
	github.com/charmbracelet/lipgloss v1.1.0
	github.com/charmbracelet/x/ansi v0.11.6
	github.com/charmbracelet/x/cellbuf v0.0.15
	github.com/charmbracelet/x/term v0.2.2
	github.com/cheggaaa/pb v1.0.29
	github.com/chromedp/cdproto v0.0.0-20260320225252-cf654f46fc63
	github.com/chromedp/chromedp v0.15.0
	github.com/chromedp/sysutil v1.1.0
	github.com/clbanning/mxj/v2 v2.7.0
	github.com/clipperhouse/displaywidth v0.11.0
	github.com/clipperhouse/uax29/v2 v2.7.0
	github.com/cloudflare/circl v1.6.3
	github.com/cloudnativelabs/kube-router/v2 v2.6.3
	github.com/cloudwego/base64x v0.1.7
	github.com/container-storage-interface/spec v1.12.1-0.20260720052920-cd9e7ad1ae09
	github.com/containerd/containerd v1.7.30
	github.com/containerd/containerd/api v1.11.1
	github.com/containerd/errdefs v1.0.0
	github.com/containerd/errdefs/pkg v0.3.0
	github.com/containerd/log v0.1.0
	github.com/containerd/platforms v1.0.0-rc.1
	github.com/containerd/ttrpc v1.2.9
	github.com/containous/alice v0.0.0-20181107144136-d83ebdd94cbd
	github.com/coredns/caddy v1.1.4
	github.com/coredns/coredns v1.15.0
	github.com/coreos/go-iptables v0.8.0
	github.com/coreos/go-oidc v2.5.0+incompatible
	github.com/coreos/go-semver v0.3.1
	github.com/coreos/go-systemd/v22 v22.7.0
	github.com/cpuguy83/go-md2man/v2 v2.0.7
	github.com/cyphar/filepath-securejoin v0.7.0
	github.com/davecgh/go-spew v1.1.2-0.20180830191138-d8f796af33cc
	github.com/deckarep/golang-set/v2 v2.5.0
	github.com/deepmap/oapi-codegen v1.9.1
	github.com/desertbit/timer v0.0.0-20180107155436-c41aec40b27f
	github.com/dgryski/go-jump v0.0.0-20211018200510-ba001c3ffce0
	github.com/dgryski/go-rendezvous v0.0.0-20200823014737-9f7001d12a5f
	github.com/dimchansky/utfbom v1.1.1
	github.com/distribution/reference v0.6.0
	github.com/djherbis/times v1.5.0
	github.com/dlclark/regexp2 v1.11.0
	github.com/dnsimple/dnsimple-go/v4 v4.0.0
	github.com/docker/cli v29.7.2+incompatible
	github.com/docker/docker v28.5.2+incompatible
	github.com/docker/docker-credential-helpers v0.9.3
	github.com/docker/go-connections v0.7.0
	github.com/docker/go-units v0.5.0
	github.com/dustin/go-humanize v1.0.1
	github.com/edsrzf/mmap-go v1.1.0
	github.com/emicklei/go-restful/v3 v3.13.0
	github.com/emirpasic/gods v1.18.1
	github.com/erikgeiser/coninput v0.0.0-20211004153227-1c3628e74d0f
	github.com/evanphx/json-patch v5.9.11+incompatible
	github.com/evanphx/json-patch/v5 v5.9.11
	github.com/exoscale/egoscale/v3 v3.1.41
	github.com/exponent-io/jsonpath v0.0.0-20210407135951-1de76d718b3f
	github.com/expr-lang/expr v1.17.8
	github.com/fatih/camelcase v1.0.0
	github.com/fatih/color v1.18.0
	github.com/fatih/structs v1.1.0
	github.com/felixge/httpsnoop v1.1.0
	github.com/fluxcd/cli-utils v0.36.0-flux.13
	github.com/fluxcd/pkg/ssa v0.46.0
	github.com/flynn/go-shlex v0.0.0-20150515145356-3f9db97f8568
	github.com/fsnotify/fsnotify v1.10.1
	github.com/fxamacker/cbor/v2 v2.9.1
	github.com/gabriel-vasile/mimetype v1.4.13
	github.com/ghodss/yaml v1.0.0
	github.com/git-pkgs/manifests v0.4.1
	github.com/git-pkgs/packageurl-go v0.3.1
	github.com/git-pkgs/purl v0.1.10
	github.com/git-pkgs/vers v0.2.4
	github.com/go-acme/alidns-20150109/v4 v4.7.0
	github.com/go-acme/esa-20240910/v2 v2.48.0
	github.com/go-acme/jdcloud-sdk-go v1.64.0
	github.com/go-acme/lego/v5 v5.3.1
	github.com/go-acme/tencentclouddnspod v1.3.24
	github.com/go-acme/tencentedgdeone v1.3.38
	github.com/go-errors/errors v1.5.1
	github.com/go-git/gcfg v1.5.1-0.20230307220236-3a3c6141e376
	github.com/go-git/go-billy/v5 v5.9.2
	github.com/go-git/go-git/v5 v5.19.3
	github.com/go-gorp/gorp/v3 v3.1.0
	github.com/go-jose/go-jose/v3 v3.0.5
	github.com/go-jose/go-jose/v4 v4.1.4
	github.com/go-json-experiment/json v0.0.0-20260214004413-d219187c3433
	github.com/go-kit/kit v0.13.0
	github.com/go-kit/log v0.2.1
	github.com/go-logfmt/logfmt v0.6.0
	github.com/go-logr/logr v1.4.4
	github.com/go-logr/stdr v1.2.2
	github.com/go-logr/zapr v1.3.0
	github.com/go-ole/go-ole v1.3.0
	github.com/go-openapi/jsonpointer v1.0.0
	github.com/go-openapi/jsonreference v1.0.0
	github.com/go-openapi/swag v0.27.1
	github.com/go-openapi/swag/cmdutils v0.27.1
	github.com/go-openapi/swag/conv v0.27.1
	github.com/go-openapi/swag/fileutils v0.27.1
	github.com/go-openapi/swag/jsonutils v0.27.1
	github.com/go-openapi/swag/loading v0.27.1
	github.com/go-openapi/swag/mangling v0.27.1
	github.com/go-openapi/swag/netutils v0.27.1
	github.com/go-openapi/swag/pools v0.27.1
	github.com/go-openapi/swag/stringutils v0.27.1
	github.com/go-openapi/swag/typeutils v0.27.1
	github.com/go-openapi/swag/yamlutils v0.27.1
	github.com/go-ozzo/ozzo-validation/v4 v4.3.0
	github.com/go-playground/locales v0.14.1
	github.com/go-playground/universal-translator v0.18.1
	github.com/go-playground/validator/v10 v10.30.3
	github.com/go-resty/resty/v2 v2.17.2
	github.com/go-test/deep v1.1.1
	github.com/go-viper/mapstructure/v2 v2.5.0
	github.com/go-zookeeper/zk v1.0.3
	github.com/gobuffalo/flect v1.0.3
	github.com/gobwas/glob v0.2.3
	github.com/gobwas/httphead v0.1.0
	github.com/gobwas/pool v0.2.1
	github.com/gobwas/ws v1.4.0
	github.com/goccy/go-yaml v1.19.2
	github.com/godbus/dbus/v5 v5.2.2
	github.com/gofrs/flock v0.13.0
	github.com/gofrs/uuid v4.4.0+incompatible
	github.com/gogo/protobuf v1.3.2
	github.com/golang-jwt/jwt/v4 v4.5.2
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/golang/glog v1.2.5
	github.com/golang/groupcache v0.0.0-20241129210726-2c02b8208cf8
	github.com/golang/protobuf v1.5.4
	github.com/google/btree v1.1.3
	github.com/google/cadvisor/lib v0.60.5
	github.com/google/cel-go v0.29.2
	github.com/google/gnostic-models v0.7.0
	github.com/google/go-cmp v0.7.0
	github.com/google/go-containerregistry v0.22.1
	github.com/google/go-github/v28 v28.1.1
	github.com/google/go-querystring v1.2.0
	github.com/google/nftables v0.3.0
	github.com/google/pprof v0.0.0-20260402051712-545e8a4df936
	github.com/google/s2a-go v0.1.11
	github.com/google/shlex v0.0.0-20191202100458-e7afc7fbc510
	github.com/google/uuid v1.6.0
	github.com/google/wire v0.6.0
	github.com/googleapis/enterprise-certificate-proxy v0.3.22
	github.com/googleapis/gax-go/v2 v2.26.2
	github.com/gophercloud/gophercloud v1.14.1
	github.com/gophercloud/utils v0.0.0-20231010081019-80377eca5d56
	github.com/gorilla/css v1.0.0
	github.com/gorilla/mux v1.8.1
	github.com/gorilla/websocket v1.5.4-0.20250319132907-e064f32e3674
	github.com/gosuri/uitable v0.0.4
	github.com/gravitational/trace v1.5.1
	github.com/gregjones/httpcache v0.0.0-20190611155906-901d90724c79
	github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus v1.1.0
	github.com/grpc-ecosystem/go-grpc-middleware/v2 v2.3.3
	github.com/grpc-ecosystem/grpc-gateway/v2 v2.29.0
	github.com/grpc-ecosystem/grpc-opentracing v0.0.0-20180507213350-8e809c8a8645
	github.com/hashicorp/consul/api v1.26.1
	github.com/hashicorp/cronexpr v1.1.3
	github.com/hashicorp/errwrap v1.1.0
	github.com/hashicorp/go-cleanhttp v0.5.2
	github.com/hashicorp/go-hclog v1.6.3
	github.com/hashicorp/go-immutable-radix v1.3.1
	github.com/hashicorp/go-multierror v1.1.1
	github.com/hashicorp/go-retryablehttp v0.7.8
	github.com/hashicorp/go-rootcerts v1.0.2
	github.com/hashicorp/go-secure-stdlib/parseutil v0.1.8
	github.com/hashicorp/go-secure-stdlib/strutil v0.1.2
	github.com/hashicorp/go-sockaddr v1.0.7
	github.com/hashicorp/go-uuid v1.0.3
	github.com/hashicorp/go-version v1.9.0
	github.com/hashicorp/golang-lru v1.0.2
	github.com/hashicorp/golang-lru/v2 v2.0.7
	github.com/hashicorp/hcl v1.0.1-vault-5
	github.com/hashicorp/hcl/v2 v2.22.0
	github.com/hashicorp/nomad/api v0.0.0-20250909143645-a3b86c697f38
	github.com/hashicorp/serf v0.10.1
	github.com/hashicorp/vault/api v1.12.0
	github.com/hexops/gotextdiff v1.0.3
	github.com/http-wasm/http-wasm-host-go v0.7.0
	github.com/huandu/xstrings v1.5.0
	github.com/huaweicloud/huaweicloud-sdk-go-v3 v0.1.205
	github.com/iij/doapi v0.0.0-20190504054126-0bbf12d6d7df
	github.com/imdario/mergo v0.3.16
	github.com/inconshreveable/mousetrap v1.1.0
	github.com/influxdata/influxdb-client-go/v2 v2.7.0
	github.com/influxdata/influxdb1-client v0.0.0-20200827194710-b269163b24ab
	github.com/influxdata/line-protocol v0.0.0-20200327222509-2487e7298839
	github.com/infobloxopen/infoblox-go-client/v2 v2.11.0
	github.com/iwdgo/sigintwindows v0.2.2
	github.com/jbenet/go-context v0.0.0-20150711004518-d14ea06fba99
	github.com/jmespath/go-jmespath v0.4.0
	github.com/jmoiron/sqlx v1.4.0
	github.com/jonboulle/clockwork v0.5.0
	github.com/josharian/intern v1.0.0
	github.com/jpillora/backoff v1.0.0
	github.com/json-iterator/go v1.1.13-0.20220915233716-71ac16282d12
	github.com/k0kubun/go-ansi v0.0.0-20180517002512-3bf9e2903213
	github.com/kballard/go-shellquote v0.0.0-20180428030007-95032a82bc51
	github.com/kevinburke/ssh_config v1.2.0
	github.com/klauspost/compress v1.19.2
	github.com/kolo/xmlrpc v0.0.0-20220921171641-a4b6fa1dd06b
	github.com/kubernetes-csi/csi-lib-utils v0.22.0
	github.com/kvtools/consul v1.0.2
	github.com/kvtools/etcdv3 v1.0.3
	github.com/kvtools/redis v1.2.1
	github.com/kvtools/valkeyrie v1.0.0
	github.com/kvtools/zookeeper v1.0.2
	github.com/kylelemons/godebug v1.1.0
	github.com/labbsr0x/bindman-dns-webhook v1.0.2
	github.com/labbsr0x/goh v1.0.1
	github.com/lann/builder v0.0.0-20180802200727-47ae307949d0
	github.com/lann/ps v0.0.0-20150810152359-62de8c46ede0
	github.com/leodido/go-urn v1.4.0
	github.com/lib/pq v1.10.9
	github.com/liggitt/tabwriter v0.0.0-20181228230101-89fcab3d43de
	github.com/linode/linodego v1.69.1
	github.com/liquidweb/liquidweb-cli v0.7.0
	github.com/liquidweb/liquidweb-go v1.6.4
	github.com/lithammer/dedent v1.1.0
	github.com/lucasb-eyer/go-colorful v1.4.0
	github.com/lufia/plan9stats v0.0.0-20260330125221-c963978e514e
	github.com/magiconair/properties v1.8.10
	github.com/mailgun/multibuf v0.2.0
	github.com/mailgun/timetools v0.0.0-20141028012446-7e6055773c51
	github.com/mailru/easyjson v0.9.1
	github.com/mattn/go-colorable v0.1.14
	github.com/mattn/go-isatty v0.0.22
	github.com/mattn/go-localereader v0.0.1
	github.com/mattn/go-runewidth v0.0.23
	github.com/mdlayher/netlink v1.11.2
	github.com/mdlayher/socket v0.6.1
	github.com/mdlayher/vsock v1.3.0
	github.com/mgutz/ansi v0.0.0-20170206155736-9520e82c474b
	github.com/microcosm-cc/bluemonday v1.0.21
	github.com/miekg/dns v1.1.73
	github.com/mimuret/golang-iij-dpf v0.9.1
	github.com/mitchellh/copystructure v1.2.0
	github.com/mitchellh/go-homedir v1.1.0
	github.com/mitchellh/go-ps v1.0.0
	github.com/mitchellh/go-wordwrap v1.0.1
	github.com/mitchellh/hashstructure v1.0.0
	github.com/mitchellh/mapstructure v1.5.1-0.20231216201459-8508981c8b6c
	github.com/mitchellh/reflectwalk v1.0.2
	github.com/moby/docker-image-spec v1.3.1
	github.com/moby/ipvs v1.1.0
	github.com/moby/moby v28.3.3+incompatible
	github.com/moby/spdystream v0.5.1
	github.com/moby/sys/atomicwriter v0.1.0
	github.com/moby/sys/mountinfo v0.7.2
	github.com/moby/sys/userns v0.1.0
	github.com/moby/term v0.5.2
	github.com/modern-go/concurrent v0.0.0-20180306012644-bacd9c7ef1dd
	github.com/modern-go/reflect2 v1.0.3-0.20250322232337-35a7c28c31ee
	github.com/monochromegane/go-gitignore v0.0.0-20200626010858-205db1a8cc00
	github.com/muesli/ansi v0.0.0-20230316100256-276c6243b2f6
	github.com/muesli/cancelreader v0.2.2
	github.com/muesli/reflow v0.3.0
	github.com/muesli/termenv v0.16.0
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822
	github.com/mwitkow/go-conntrack v0.0.0-20190716064945-2f068394615f
	github.com/mxk/go-flowrate v0.0.0-20140419014527-cca7078d478f
	github.com/namedotcom/go/v4 v4.0.2
	github.com/natefinch/atomic v1.0.1
	github.com/nbutton23/zxcvbn-go v0.0.0-20180912185939-ae427f1e4c1d
	github.com/nrdcg/auroradns v1.2.0
	github.com/nrdcg/bunny-go v0.1.0
	github.com/nrdcg/desec v0.11.1
	github.com/nrdcg/dnspod-go v0.4.0
	github.com/nrdcg/freemyip v0.3.0
	github.com/nrdcg/goacmedns v0.2.0
	github.com/nrdcg/goinwx v0.12.0
	github.com/nrdcg/mailinabox v0.3.0
	github.com/nrdcg/namesilo v0.5.0
	github.com/nrdcg/nodion v0.1.0
	github.com/nrdcg/oci-go-sdk/common/v1065 v1065.120.0
	github.com/nrdcg/oci-go-sdk/dns/v1065 v1065.120.0
	github.com/nrdcg/porkbun v0.4.0
	github.com/nrdcg/vegadns v0.3.0
	github.com/nxadm/tail v1.4.11
	github.com/nzdjb/go-metaname v1.0.0
	github.com/oklog/run v1.1.0
	github.com/olekukonko/tablewriter v0.0.5
	github.com/opencontainers/cgroups v0.0.7
	github.com/opencontainers/go-digest v1.0.0
	github.com/opencontainers/image-spec v1.1.1
	github.com/opencontainers/runtime-spec v1.3.0
	github.com/opencontainers/selinux v1.15.1
	github.com/opentracing/basictracer-go v1.1.0
	github.com/opentracing/opentracing-go v1.2.0
	github.com/ovh/go-ovh v1.9.0
	github.com/patrickmn/go-cache v2.1.0+incompatible
	github.com/pbnjay/memory v0.0.0-20210728143218-7b4eea64cf58
	github.com/pelletier/go-toml/v2 v2.2.4
	github.com/peterbourgon/diskv v2.0.1+incompatible
	github.com/peterhellberg/link v1.2.0
	github.com/pgavlin/aho-corasick v0.5.1
	github.com/pgavlin/diff v0.0.0-20230503175810-113847418e2e
	github.com/pgavlin/fx v0.1.6
	github.com/pgavlin/fx/v2 v2.0.10
	github.com/pgavlin/goldmark v1.1.33-0.20200616210433-b5eb04559386
	github.com/pgavlin/text v0.0.0-20240821195002-b51d0990e284
	github.com/pires/go-proxyproto v0.15.0
	github.com/pjbgf/sha1cd v0.7.0
	github.com/pkg/browser v0.0.0-20240102092130-5ac0b6a4141c
	github.com/pkg/errors v0.9.1
	github.com/pkg/term v1.2.0-beta.2
	github.com/pmezard/go-difflib v1.0.1-0.20181226105442-5d4384ee4fb2
	github.com/power-devops/perfstat v0.0.0-20240221224432-82ca36839d55
	github.com/pquerna/cachecontrol v0.1.0
	github.com/pquerna/otp v1.5.0
	github.com/prometheus/client_golang v1.24.1
	github.com/prometheus/client_model v0.6.3
	github.com/prometheus/common v0.72.0
	github.com/prometheus/exporter-toolkit v0.20.0
	github.com/prometheus/procfs v0.21.1
	github.com/pulumi/appdash v0.0.0-20231130102222-75f619a67231
	github.com/pulumi/cloud-ready-checks v1.3.0
	github.com/pulumi/esc v0.21.0
	github.com/pulumi/inflector v0.2.1
	github.com/pulumi/pulumi-go-provider v1.3.0
	github.com/pulumi/pulumi-kubernetes/provider/v4 v4.0.0-20260115033456-f47bc2d6f199
	github.com/pulumi/pulumi-kubernetes/sdk/v4 v4.25.0
	github.com/pulumi/pulumi-random/sdk/v4 v4.19.2
	github.com/pulumi/pulumi/pkg/v3 v3.230.0
	github.com/pulumi/pulumi/sdk/v3 v3.230.0
	github.com/quic-go/qpack v0.6.0
	github.com/quic-go/quic-go v0.64.1
	github.com/redis/go-redis/v9 v9.23.0
	github.com/regfish/regfish-dnsapi-go v0.1.1
	github.com/rivo/uniseg v0.4.7
	github.com/robfig/cron/v3 v3.0.1
	github.com/rogpeppe/go-internal v1.14.1
	github.com/rs/cors v1.7.0
	github.com/rs/zerolog v1.34.0
	github.com/rubenv/sql-migrate v1.8.1
	github.com/russross/blackfriday/v2 v2.1.0
	github.com/ryanuber/go-glob v1.0.0
	github.com/sabhiram/go-gitignore v0.0.0-20210923224102-525f6e181f06
	github.com/sacloud/api-client-go v0.3.5
	github.com/sacloud/go-http v0.1.9
	github.com/sacloud/iaas-api-go v1.29.2
	github.com/sacloud/packages-go v0.1.0
	github.com/sagikazarmark/locafero v0.4.0
	github.com/sagikazarmark/slog-shim v0.1.0
	github.com/samber/lo v1.53.0
	github.com/samber/slog-common v0.21.0
	github.com/samber/slog-zerolog/v2 v2.9.2
	github.com/santhosh-tekuri/jsonschema/v5 v5.3.1
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.2
	github.com/scaleway/scaleway-sdk-go v1.0.0-beta.36
	github.com/segmentio/asm v1.1.3
	github.com/segmentio/encoding v0.3.5
	github.com/selectel/domains-go v1.1.0
	github.com/selectel/go-selvpcclient/v4 v4.2.0
	github.com/sergi/go-diff v1.4.0
	github.com/shirou/gopsutil/v3 v3.22.3
	github.com/shopspring/decimal v1.4.0
	github.com/shurcooL/httpfs v0.0.0-20190707220628-8d4bc4ba7749
	github.com/shurcooL/vfsgen v0.0.0-20200824052919-0d455de96546
	github.com/sirupsen/logrus v1.9.4
	github.com/skeema/knownhosts v1.3.1
	github.com/softlayer/softlayer-go v1.2.1
	github.com/softlayer/xmlrpc v0.0.0-20200409220501-5f089df7cb7e
	github.com/soheilhy/cmux v0.1.5
	github.com/sony/gobreaker v1.0.0
	github.com/sourcegraph/appdash-data v0.0.0-20151005221446-73f23eafcf67
	github.com/sourcegraph/conc v0.3.0
	github.com/spf13/afero v1.15.0
	github.com/spf13/cast v1.10.0
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.0.10
	github.com/spf13/viper v1.18.2
	github.com/spiffe/go-spiffe/v2 v2.8.1
	github.com/stealthrocket/wasi-go v0.8.0
	github.com/stealthrocket/wazergo v0.19.1
	github.com/stoewer/go-strcase v1.3.0
	github.com/stretchr/objx v0.5.3
	github.com/stretchr/testify v1.12.1
	github.com/subosito/gotenv v1.6.0
	github.com/tailscale/tscert v0.0.0-20230806124524-28a91b69a046
	github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common v1.3.133
	github.com/tetratelabs/wazero v1.8.0
	github.com/texttheater/golang-levenshtein v1.0.1
	github.com/theory/jsonpath v0.9.0
	github.com/tjfoc/gmsm v1.4.1
	github.com/tklauser/go-sysconf v0.3.16
	github.com/tklauser/numcpus v0.11.0
	github.com/tmc/grpc-websocket-proxy v0.0.0-20220101234140-673ab2c3ae75
	github.com/traefik/grpc-web v0.16.0
	github.com/traefik/paerser v0.2.2
	github.com/traefik/traefik/v3 v3.6.25
	github.com/traefik/yaegi v0.16.1
	github.com/transip/gotransip/v6 v6.27.2
	github.com/twitchyliquid64/golang-asm v0.15.1
	github.com/uber/jaeger-client-go v2.30.0+incompatible
	github.com/uber/jaeger-lib v2.4.1+incompatible
	github.com/ultradns/ultradns-go-sdk v1.8.2-20260507133303-3f324c7
	github.com/unrolled/render v1.0.2
	github.com/unrolled/secure v1.0.9
	github.com/valyala/bytebufferpool v1.0.0
	github.com/valyala/fasthttp v1.70.0
	github.com/vinyldns/go-vinyldns v0.9.18
	github.com/vishvananda/netlink v1.3.1
	github.com/vishvananda/netns v0.0.5
	github.com/volcengine/volc-sdk-golang v1.0.251
	github.com/vulcand/oxy/v2 v2.1.0
	github.com/vulcand/predicate v1.3.0
	github.com/vultr/govultr/v3 v3.31.2
	github.com/x448/float16 v0.8.4
	github.com/xanzy/ssh-agent v0.3.3
	github.com/xeipuuv/gojsonpointer v0.0.0-20190905194746-02993c407bfb
	github.com/xeipuuv/gojsonreference v0.0.0-20180127040603-bd5ef7bd5415
	github.com/xeipuuv/gojsonschema v1.2.0
	github.com/xiang90/probing v0.0.0-20221125231312-a49e3df8f510
	github.com/xlab/treeprint v1.2.0
	github.com/xo/terminfo v0.0.0-20220910002029-abceb7e1c41e
	github.com/yandex-cloud/go-genproto v0.95.0
	github.com/yandex-cloud/go-sdk/services/dns v0.0.65
	github.com/yandex-cloud/go-sdk/v2 v2.136.0
	github.com/youmark/pkcs8 v0.0.0-20240726163527-a2c0da244d78
	github.com/yuin/goldmark v1.7.13
	github.com/yuin/goldmark-emoji v1.0.1
	github.com/yusufpapurcu/wmi v1.2.4
	github.com/zclconf/go-cty v1.14.4
	go.etcd.io/bbolt v1.5.0
	go.etcd.io/etcd/api/v3 v3.7.3
	go.etcd.io/etcd/client/pkg/v3 v3.7.3
	go.etcd.io/etcd/client/v3 v3.7.3
	go.etcd.io/etcd/pkg/v3 v3.7.3
	go.etcd.io/etcd/server/v3 v3.7.3
	go.etcd.io/raft/v3 v3.7.0
	go.mongodb.org/mongo-driver v1.17.9
	go.opencensus.io v0.24.0
	go.opentelemetry.io/auto/sdk v1.2.1
	go.opentelemetry.io/collector/featuregate v1.61.0
	go.opentelemetry.io/collector/pdata v1.61.0
	go.opentelemetry.io/contrib/bridges/otellogrus v0.13.0
	go.opentelemetry.io/contrib/instrumentation/github.com/emicklei/go-restful/otelrestful v0.69.0
	go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc v0.68.0
	go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp v0.69.0
	go.opentelemetry.io/contrib/propagators/autoprop v0.63.0
	go.opentelemetry.io/contrib/propagators/aws v1.38.0
	go.opentelemetry.io/contrib/propagators/b3 v1.44.0
	go.opentelemetry.io/contrib/propagators/jaeger v1.38.0
	go.opentelemetry.io/contrib/propagators/ot v1.38.0
	go.opentelemetry.io/otel v1.45.0
	go.opentelemetry.io/otel/bridge/opentracing v1.33.0
	go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc v0.20.0
	go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp v0.20.0
	go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc v1.44.0
	go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp v1.44.0
	go.opentelemetry.io/otel/exporters/otlp/otlptrace v1.45.0
	go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc v1.45.0
	go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp v1.44.0
	go.opentelemetry.io/otel/log v0.20.0
	go.opentelemetry.io/otel/metric v1.45.0
	go.opentelemetry.io/otel/sdk v1.45.0
	go.opentelemetry.io/otel/sdk/log v0.20.0
	go.opentelemetry.io/otel/sdk/metric v1.45.0
	go.opentelemetry.io/otel/trace v1.45.0
	go.opentelemetry.io/proto/otlp v1.11.0
	go.pennock.tech/tabular v1.1.3
	go.uber.org/atomic v1.12.0
	go.uber.org/automaxprocs v1.6.0
	go.uber.org/multierr v1.11.0
	go.uber.org/ratelimit v0.3.1
	go.uber.org/zap v1.28.0
	go.yaml.in/yaml/v2 v2.4.4
	go.yaml.in/yaml/v3 v3.0.5
	gocloud.dev v0.37.0
	gocloud.dev/secrets/hashivault v0.37.0
	golang.org/x/crypto v0.58.0
	golang.org/x/exp v0.0.0-20260529124908-c761662dc8c9
	golang.org/x/mod v0.41.0
	golang.org/x/net v0.61.0
	golang.org/x/oauth2 v0.37.0
	golang.org/x/sync v0.24.0
	golang.org/x/sys v0.49.0
	golang.org/x/term v0.47.0
	golang.org/x/text v0.43.0
	golang.org/x/time v0.16.0
	golang.org/x/tools v0.51.0
	golang.org/x/xerrors v0.0.0-20240903120638-7835f813f4da
	gomodules.xyz/jsonpatch/v2 v2.4.0
	google.golang.org/api v0.301.0
	google.golang.org/genproto v0.0.0-20260715232425-e75dac1f907d
	google.golang.org/genproto/googleapis/api v0.0.0-20260803160001-6ac0973c030d
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260928230214-8a89bd6388cc
	google.golang.org/grpc v1.84.0
	google.golang.org/protobuf v1.36.12
	gopkg.in/evanphx/json-patch.v4 v4.13.0
	gopkg.in/go-jose/go-jose.v2 v2.6.3
	gopkg.in/inf.v0 v0.9.1
	gopkg.in/ini.v1 v1.67.3
	gopkg.in/natefinch/lumberjack.v2 v2.2.1
	gopkg.in/ns1/ns1-go.v2 v2.18.0
	gopkg.in/tomb.v1 v1.0.0-20141024135613-dd632973f1e7
	gopkg.in/warnings.v0 v0.1.2
	gopkg.in/yaml.v2 v2.4.0
	gopkg.in/yaml.v3 v3.0.1
	gotest.tools/v3 v3.5.2
	helm.sh/helm/v3 v3.20.2
	k8s.io/api v0.37.2
	k8s.io/api/autoscaling/v2beta2 v0.0.0
	k8s.io/apiextensions-apiserver v0.37.2
	k8s.io/apimachinery v0.37.2
	k8s.io/apiserver v0.37.2
	k8s.io/cli-runtime v0.37.2
	k8s.io/client-go v0.37.2
	k8s.io/cloud-provider v0.37.2
	k8s.io/cluster-bootstrap v0.0.0
	k8s.io/component-base v0.37.2
	k8s.io/component-helpers v0.37.2
	k8s.io/controller-manager v0.37.2
	k8s.io/cri-api v0.37.2
	k8s.io/cri-client v0.0.0
	k8s.io/cri-streaming v0.0.0
	k8s.io/csi-translation-lib v0.0.0
	k8s.io/dynamic-resource-allocation v0.37.2
	k8s.io/endpointslice v0.0.0
	k8s.io/externaljwt v0.0.0
	k8s.io/klog/v2 v2.140.0
	k8s.io/kms v0.37.2
	k8s.io/kube-aggregator v0.0.0
	k8s.io/kube-controller-manager v0.0.0
	k8s.io/kube-openapi v0.0.0-20260721132016-d427ff9ee9ad
	k8s.io/kube-proxy v0.0.0
	k8s.io/kube-scheduler v0.0.0
	k8s.io/kube-state-metrics/v2 v2.15.0
	k8s.io/kubectl v0.35.1
	k8s.io/kubelet v0.37.2
	k8s.io/kubernetes v1.37.2
	k8s.io/metrics v0.37.2
	k8s.io/mount-utils v0.0.0
	k8s.io/pod-security-admission v0.0.0
	k8s.io/sample-controller v0.32.1
	k8s.io/streaming v0.37.2
	k8s.io/utils v0.0.0-20260626114624-be93311217bd
	knative.dev/networking v0.0.0-20241022012959-60e29ff520dc
	knative.dev/pkg v0.0.0-20241021183759-9b9d535af5ad
	lukechampine.com/frand v1.5.1
	mvdan.cc/xurls/v2 v2.5.0
	nhooyr.io/websocket v1.8.7
	oras.land/oras-go/v2 v2.6.2
	sigs.k8s.io/apiserver-network-proxy/konnectivity-client v0.36.0
	sigs.k8s.io/cli-utils v0.37.2
	sigs.k8s.io/controller-runtime v0.25.2
	sigs.k8s.io/gateway-api v1.4.0
	sigs.k8s.io/json v0.0.0-20250730193827-2d320260d730
	sigs.k8s.io/knftables v0.0.22
	sigs.k8s.io/kustomize/api v0.21.1
	sigs.k8s.io/kustomize/kustomize/v5 v5.8.1
	sigs.k8s.io/kustomize/kyaml v0.21.1
	sigs.k8s.io/mcs-api v0.5.2
	sigs.k8s.io/metrics-server v0.9.0
	sigs.k8s.io/randfill v1.0.0
	sigs.k8s.io/sig-storage-lib-external-provisioner/v13 v13.0.0
	sigs.k8s.io/structured-merge-diff/v4 v4.6.0
	sigs.k8s.io/structured-merge-diff/v6 v6.4.2
	sigs.k8s.io/yaml v1.6.0
	software.sslmate.com/src/go-pkcs12 v0.7.3
)

replace (
	example.com/journal => ../../..
	example.com/journal/sandbox => ../..
	example.com/journal/services => ../../../services
	k8s.io/api/autoscaling/v2beta2 => ./autoscaling-v2beta2
)

// Traefik's own replacements and exclusion: a main module's are the only ones that count.
replace (
	github.com/abbot/go-http-auth => github.com/containous/go-http-auth v0.4.1-0.20200324110947-a37a7636d23e
	github.com/gorilla/mux => github.com/containous/mux v0.0.0-20250523120546-41b6ec3aed59
)

exclude github.com/tencentcloud/tencentcloud-sdk-go v3.0.83+incompatible

replace github.com/cloudnativelabs/kube-router/v2 => github.com/k3s-io/kube-router/v2 v2.6.3-k3s1

replace k8s.io/api => k8s.io/api v0.37.2

replace k8s.io/apiextensions-apiserver => k8s.io/apiextensions-apiserver v0.37.2

replace k8s.io/apimachinery => k8s.io/apimachinery v0.37.2

replace k8s.io/apiserver => k8s.io/apiserver v0.37.2

replace k8s.io/cli-runtime => k8s.io/cli-runtime v0.37.2

replace k8s.io/client-go => k8s.io/client-go v0.37.2

replace k8s.io/cloud-provider => k8s.io/cloud-provider v0.37.2

replace k8s.io/cluster-bootstrap => k8s.io/cluster-bootstrap v0.37.2

replace k8s.io/code-generator => k8s.io/code-generator v0.37.2

replace k8s.io/component-base => k8s.io/component-base v0.37.2

replace k8s.io/component-helpers => k8s.io/component-helpers v0.37.2

replace k8s.io/controller-manager => k8s.io/controller-manager v0.37.2

replace k8s.io/cri-api => k8s.io/cri-api v0.37.2

replace k8s.io/cri-client => k8s.io/cri-client v0.37.2

replace k8s.io/cri-streaming => k8s.io/cri-streaming v0.37.2

replace k8s.io/csi-translation-lib => k8s.io/csi-translation-lib v0.37.2

replace k8s.io/dynamic-resource-allocation => k8s.io/dynamic-resource-allocation v0.37.2

replace k8s.io/endpointslice => k8s.io/endpointslice v0.37.2

replace k8s.io/externaljwt => k8s.io/externaljwt v0.37.2

replace k8s.io/kms => k8s.io/kms v0.37.2

replace k8s.io/kube-aggregator => k8s.io/kube-aggregator v0.37.2

replace k8s.io/kube-controller-manager => k8s.io/kube-controller-manager v0.37.2

replace k8s.io/kube-proxy => k8s.io/kube-proxy v0.37.2

replace k8s.io/kube-scheduler => k8s.io/kube-scheduler v0.37.2

replace k8s.io/kubectl => k8s.io/kubectl v0.37.2

replace k8s.io/kubelet => k8s.io/kubelet v0.37.2

replace k8s.io/metrics => k8s.io/metrics v0.37.2

replace k8s.io/mount-utils => k8s.io/mount-utils v0.37.2

replace k8s.io/pod-security-admission => k8s.io/pod-security-admission v0.37.2

replace k8s.io/sample-apiserver => k8s.io/sample-apiserver v0.37.2

replace k8s.io/sample-cli-plugin => k8s.io/sample-cli-plugin v0.37.2

replace k8s.io/sample-controller => k8s.io/sample-controller v0.32.1

replace k8s.io/streaming => k8s.io/streaming v0.37.2

// metrics-server and kube-state-metrics ask for these, and need none of them: without them all programs keep the versions that they share.
exclude github.com/aws/aws-sdk-go v1.55.8
exclude github.com/aws/aws-sdk-go-v2/service/ec2 v1.307.0
exclude github.com/aws/aws-sdk-go-v2/service/ecs v1.83.0
exclude github.com/fxamacker/cbor/v2 v2.9.2
exclude github.com/google/gnostic-models v0.7.1
exclude go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc v0.69.0
exclude github.com/hashicorp/consul/api v1.32.1
exclude github.com/hashicorp/nomad/api v0.0.0-20260616181215-ea1ca2d932bf
exclude github.com/go-zookeeper/zk v1.0.4
exclude github.com/edsrzf/mmap-go v1.2.1-0.20241212181136-fad1cd13edbd
exclude github.com/google/pprof v0.0.0-20260604005048-7023385849c0
exclude github.com/spf13/viper v1.19.0
