#!/bin/sh
# Sends a current knock sequence with nothing but a POSIX shell, openssl, od and nc: for routers, Termux, CI.
#
#   tock-knock.sh [-n] [-s STEP] FILE [HOST]
#
# FILE holds the link of a device made by `tockd device add USER/DEVICE --static --link`, and nobody else may read it.
# HOST is where to knock, if not at the link's first address. -n prints the ports and sends nothing; -s takes another
# time step than the current one. The secret is never an argument of a program: HMAC is done by hand, on pipes.
set -eu
LC_ALL=C; export LC_ALL
fail() { printf 'tock-knock: error: %s\n' "$1" >&2; exit "${2:-1}"; }

dry= step=
while getopts ns: flag; do
  case $flag in n) dry=yes ;; s) step=$OPTARG ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
[ $# -ge 1 ] || fail 'usage: tock-knock.sh [-n] [-s STEP] FILE [HOST]' 2
case $(ls -ldL -- "$1") in
  -r[w-]-------*) ;;
  *) fail "$1: others can read it, or it is no file; chmod 600 $1" ;;
esac
read -r link < "$1" || [ -n "$link" ] || fail "$1 is empty"

# each HEX: its bytes as words that the shell takes for numbers. No program is run for each of them: routers are slow at that.
each() { printf %s "$1" | sed 's/../0x& /g'; }
# bytes HEX: hexadecimal to bytes, by the shell's own printf. hex: the other way round.
bytes() {
  [ -z "$1" ] || printf "$(printf '\\%03o' $(each "$1"))"
}
hex() { od -An -v -tx1 | tr -d ' \n'; }
decode() { # base64url to bytes
  text=$(printf %s "$1" | tr _- /+)
  while [ $((${#text} % 4)) -ne 0 ]; do text=$text=; done
  printf '%s' "$text" | openssl base64 -d -A
}
# xor KEY BYTE: each byte of the key, filled up with zeros to 64 bytes (SHA-256's block), xor one byte.
xor() {
  count=0 pad=
  for byte in $(each "$1"); do pad="$pad $((byte ^ $2))" count=$((count + 1)); done
  while [ $count -lt 64 ]; do pad="$pad $(($2))" count=$((count + 1)); done
  printf %02x $pad
}
# hmac KEY MESSAGE, all in hexadecimal (RFC 2104).
hmac() {
  inner=$(bytes "$(xor "$1" 0x36)$2" | openssl dgst -sha256 -binary | hex)
  bytes "$(xor "$1" 0x5c)$inner" | openssl dgst -sha256 -binary | hex
}

json=$(decode "${link#*#}")
field() { printf %s "$json" | sed -n "s/.*\"$1\":\"\{0,1\}\([A-Za-z0-9_-]*\).*/\1/p"; }
secret=$(decode "$(field secret)" | hex) server=$(decode "$(field serverId)" | hex)
first=$(field first) last=$(field last) length=$(field length) transport=$(field transport)
[ ${#secret} -eq 64 ] && [ ${#server} -eq 32 ] || fail "$1 holds no link of a device"
[ "$(field isStatic)" = true ] || fail 'this link is for one use, and may not knock: add the device with --static'
[ -n "$first" ] || fail 'this device may not knock: its user needs knock = true'
host=${2:-$(printf %s "$json" | sed -n 's/.*"addresses":\["\([^"]*\)".*/\1/p')}
case $host in
  '' | [!A-Za-z0-9:]* | *[!A-Za-z0-9.:-]*) fail "no host to knock at in $1, or one that is neither a name nor an address" ;;
esac
for port in "$first" "$last"; do # no sign, no octal, nothing too big
  case $port in '' | 0* | ??????* | *[!0-9]*) fail "range: expected ports from 1 to 65535 in $1" ;; esac
done
[ "$last" -le 65535 ] && [ $((last - first)) -ge 1023 ] || fail "range: expected at least 1024 ports, got $first-$last"
case $length in [3-8]) ;; *) fail "length: expected 3 to 8 knocks in $1" ;; esac
[ -n "$step" ] || step=$(($(date +%s) / 30))

# HKDF-SHA256 (RFC 5869): salt "tock/1" || server id; info "knock" || block if not 0 || step as 8 bytes; 64 bytes.
prk=$(hmac "746f636b2f31$server" "$secret")
span=$((last - first + 1)) fair=$((65536 / (last - first + 1) * (last - first + 1)))
ports= found=0 block=0
while [ $found -lt "$length" ]; do
  info=6b6e6f636b$([ $block -eq 0 ] || printf %02x $block)$(printf %016x "$step")
  half=$(hmac "$prk" "${info}01")
  words=$half$(hmac "$prk" "$half${info}02")
  while [ -n "$words" ] && [ $found -lt "$length" ]; do
    rest=${words#????} word=$((0x${words%"${words#????}"})) words=$rest
    port=$((first + word % span))
    [ $word -lt $fair ] && [ $port -ne 10080 ] || continue
    case " $ports " in *" $port "*) continue ;; esac
    ports="$ports${ports:+ }$port" found=$((found + 1))
  done
  block=$((block + 1))
done
[ -z "$dry" ] || { printf '%s\n' "$ports"; exit 0; }
for port in $ports; do
  if [ "$transport" = udp ]; then printf . | nc -u -w 1 "$host" "$port"
  else nc -w 1 "$host" "$port" < /dev/null
  fi > /dev/null 2>&1 || true
done
