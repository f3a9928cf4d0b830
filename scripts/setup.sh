#!/bin/sh
# Makes a fresh Debian machine ready: `sh scripts/setup.sh [test|demo|bench]`.
#
# - As root on Debian and its kin it installs the packages that the tests (or the demo) use. Nothing is
#   started by that, neither now nor at the next boot.
# - It installs the packages of package-lock.json when node_modules is not what that says.
#
# Run again it only looks, which takes a moment.
set -eu

cd "$(dirname "$0")/.."
# npm puts node_modules/.bin first, whose Node may be about to be replaced: use the machine's own.
PATH=$(echo "$PATH" | tr : '\n' | grep -v '/node_modules/' | paste -s -d : -)
purpose=${1:-test}

# One line a group, so that a reader sees what each package is for.
runtime="libatomic1"
network="iproute2 iptables nftables ipset conntrack procps util-linux"
ssh="openssh-client openssh-server"
watchers="nmap tcpdump"
knockers="hping3 netcat-openbsd knockd fwknop-client fwknop-server openssl"
codes="oathtool zbar-tools"
firewalls="ufw firewalld fail2ban docker.io containerd busybox-static mmdebstrap"
manuals="man-db groff"
shells="zsh fish"
browsers="chromium firefox-esr"
compilers="gcc libc6-dev libsodium-dev"

case $purpose in
  demo) packages="$runtime $network $ssh $watchers" ;;
  test) packages="$runtime $network $ssh $watchers $knockers $codes $firewalls $manuals $shells $browsers $compilers" ;;
  bench) packages="$runtime $network knockd fwknop-client fwknop-server $compilers chromium" ;;
  *)
    echo "tock: error: setup: expected test, demo or bench, got \"$purpose\"" >&2
    exit 2
    ;;
esac

say() { echo "setup: $*"; }

missing_packages() {
  for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
    [ "$status" = installed ] || printf '%s ' "$package"
  done
}

# While this file says 101 no maintainer script starts a daemon. One that is already there is left alone.
policy=/usr/sbin/policy-rc.d
made_policy=no
forbid_starting() {
  [ -e $policy ] && return
  trap allow_starting EXIT
  trap 'exit 130' INT TERM HUP
  made_policy=yes
  printf '#!/bin/sh\n# Made by setup.sh of tock while it installs packages.\nexit 101\n' >$policy
  chmod 755 $policy
}
allow_starting() {
  [ $made_policy = no ] || rm -f $policy
  made_policy=no
}

# A firewall manager or a knock daemon that came along for the tests must not wake up at the next boot.
disable_at_boot() {
  command -v systemctl >/dev/null || return 0
  for package in "$@"; do
    units=$(dpkg-query -L "$package" | sed -nE 's#.*/systemd/system/([^/@]+\.(service|socket))$#\1#p')
    # shellcheck disable=SC2086 # a list of names
    [ -z "$units" ] || systemctl --no-reload --quiet disable $units
  done
}

install_packages() {
  say "installing Debian packages (nothing is started): $*"
  forbid_starting
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  if ! { apt-get -qq update && apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@"; } \
    </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "tock: error: setup: apt-get could not install these packages" >&2
    exit 1
  fi
  rm -f "$log"
  daemons=
  for package in "$@"; do
    case $package in
      openssh-server | knockd | fwknop-server | ufw | firewalld | fail2ban | docker.io | containerd)
        daemons="$daemons $package"
        ;;
    esac
  done
  # shellcheck disable=SC2086 # a list of names
  disable_at_boot $daemons
  allow_starting
}

# True when each package of package-lock.json is installed in its version; optional ones may be absent.
modules_fit() {
  [ -x node_modules/.bin/node ] && [ -f node_modules/.package-lock.json ] && node -e '
    const read = (file) => JSON.parse(require("fs").readFileSync(file, "utf8")).packages;
    const [want, have] = ["package-lock.json", "node_modules/.package-lock.json"].map(read);
    const fits = ([path, { version, optional }]) =>
      path === "" || (have[path] ? have[path].version === version : optional === true);
    process.exit(Object.entries(want).every(fits) ? 0 : 1);
  '
}

missing=$(missing_packages 2>/dev/null) || missing=
if [ -n "$missing" ] && ! command -v apt-get >/dev/null; then
  say "this is not Debian; install what you lack of these yourself: $packages"
elif [ -n "$missing" ] && [ "$(id -u)" -ne 0 ]; then
  say "not root, so not installed: $missing"
elif [ -n "$missing" ]; then
  # shellcheck disable=SC2086 # a list of names
  install_packages $missing
fi
if [ "$(id -u)" -ne 0 ] && [ "$purpose" = test ]; then
  say "not root: the tests in test/e2e and test/web that make network namespaces are skipped, each by name"
fi

if ! modules_fit; then
  say "installing the packages of package-lock.json"
  # Not `npm ci`: that of npm 11 refuses a lock file without the optional packages that only other platforms
  # need (npm/cli#9846). This reads the lock file just the same, and the check after it is what `ci` adds.
  npm install --no-save --no-audit --no-fund --loglevel=error
  if ! modules_fit; then
    echo "tock: error: setup: node_modules is not what package-lock.json says" >&2
    echo "tock: hint: was package.json changed without its lock file? npm install brings them together" >&2
    exit 1
  fi
fi
if ! node_modules/.bin/node --version >/dev/null; then
  echo "tock: error: setup: the Node in node_modules does not run on this machine" >&2
  echo "tock: hint: install what it misses, above; on Debian that is mostly libatomic1" >&2
  exit 1
fi
