#!/bin/sh
# Runs a whole tydfs on this machine: builds it, starts a master and keepers, stops them, and shows in a
# demonstration how it lives through the loss of a keeper. Every process is known by its pid file and by the data
# directory in its command line, so that no foreign process is ever signalled.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
binary=$root/dist/tydfs
bun=$root/node_modules/.bin/bun
nats_server_version=v2.15.1

usage() {
  cat <<'END'
Usage: ./cluster.sh COMMAND [options]

Commands:
  build [--tests]   install what is missing and compile dist/tydfs when the sources are newer;
                    with --tests also what the tests and checks need
  up [N]            start a master and N keepers (3), or start again those of an earlier run
  down              stop everything in good order; the data stays
  status            show the processes and, when the master runs, what it says
  logs [-f]         show the end of every log, labelled; -f follows
  kill WHO          kill -9 one: the number of a keeper, or "master"
  start WHO         start one: the number of a keeper (also a new one), or "master"
  demo [FILE]       put a video on 4 keepers, kill one, rot a byte, remove it: all comes back

Options:
  --dir D           where the cluster lives (./.cluster): D/env, D/master/, D/keeper-1/, D/*.log, D/*.pid
  --help            this text

Examples:
  ./cluster.sh up 4 && . ./.cluster/env && tydfs put video.mp4 /video.mp4
  ./cluster.sh kill 2 && ./cluster.sh status
  ./cluster.sh demo
  TYDFS_REPAIR_DELAY=30s ./cluster.sh up --dir /tmp/other
END
}

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }
wrong_usage() { printf '%s\nTry: ./cluster.sh --help\n' "$*" >&2; exit 2; }
has() { command -v "$1" >/dev/null 2>&1; }

# wait_until SECONDS COMMAND…: polls until the command succeeds; fails when the time is over.
wait_until() {
  deadline=$(($(date +%s) + $1))
  shift
  until "$@"; do
    [ "$(date +%s)" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

# ---------------------------------------------------------------------------------------------- build

install_packages() {
  installed=$root/node_modules/.package-lock.json
  if [ ! -f "$installed" ] || [ -n "$(find "$root/package-lock.json" -newer "$installed")" ]; then
    has npm || fail 'Cannot install packages: npm is missing; install Node.js 20 or newer'
    say 'Installing packages (npm ci)'
    (cd "$root" && npm ci --no-audit --no-fund --loglevel=error)
    touch "$installed"
  fi
  # npm may be set to run no install scripts; then bun is not in its place yet.
  if ! "$bun" --version >/dev/null 2>&1; then
    (cd "$root" && node node_modules/bun/install.js)
    "$bun" --version >/dev/null || fail 'Cannot run bun: its package is installed, but it does not start'
  fi
}

find_go() {
  if has go; then command -v go; elif [ -x /usr/local/go/bin/go ]; then say /usr/local/go/bin/go; fi
}

# Leaves a nats-server where build.ts looks for it: $TYDFS_NATS_SERVER, PATH, .build/nats-server.
install_nats_server() {
  [ -z "${TYDFS_NATS_SERVER:-}" ] || return 0
  ! has nats-server || return 0
  [ ! -x "$root/.build/nats-server" ] || return 0
  mkdir -p "$root/.build"
  install_nats_server_with_go || install_nats_server_with_apt ||
    fail 'Cannot get a nats-server: put it on PATH, or name it in TYDFS_NATS_SERVER (https://nats.io/download)'
}

install_nats_server_with_go() {
  go=$(find_go)
  [ -n "$go" ] || return 1
  say "Building nats-server $nats_server_version (go install)"
  GOBIN=$root/.build CGO_ENABLED=0 "$go" install -trimpath -ldflags "-s -w" \
    "github.com/nats-io/nats-server/v2@$nats_server_version"
}

install_nats_server_with_apt() {
  has apt-get && has dpkg || return 1
  say 'Fetching nats-server (apt-get download)'
  package_dir=$root/.build/nats-server-package
  rm -rf "$package_dir" && mkdir -p "$package_dir" || return 1
  (
    cd "$package_dir" || exit 1
    apt-get -qq download nats-server 2>/dev/null ||
      { apt-get -qq update && apt-get -qq download nats-server; } || exit 1
    dpkg -x nats-server_*.deb . && mv usr/sbin/nats-server "$root/.build/nats-server"
  ) || return 1
  rm -rf "$package_dir"
}

# Installs the Debian packages without which tests can't run, where a command or a module is missing.
install_test_packages() {
  missing=
  needs() { has "$1" || missing="$missing $2"; }
  needs strace strace
  needs nft nftables
  needs ip iproute2
  needs mkfs.ext4 e2fsprogs
  needs mkfs.xfs xfsprogs
  needs unshare util-linux
  needs losetup mount
  # The system's own Python: another one on PATH does not see Debian's modules.
  /usr/bin/python3 -c 'import xxhash' 2>/dev/null || missing="$missing python3 python3-xxhash"
  [ -n "$missing" ] || return 0
  if ! has apt-get || [ "$(id -u)" != 0 ]; then
    printf 'Some tests of faults will fail: they run as root, and need these packages:%s\n' "$missing" >&2
    return 0
  fi
  say "Installing what tests need:$missing"
  # shellcheck disable=SC2086 # several names
  install_quietly $missing
}

install_quietly() {
  # Lists that are old, or not there yet, are got anew before the second try only.
  apt_install "$@" 2>/dev/null || { apt-get -qq update && apt_install "$@"; }
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

is_stale() {
  [ ! -x "$binary" ] ||
    [ -n "$(cd "$root" && find src workers build.ts package.json package-lock.json -newer "$binary" 2>/dev/null)" ]
}

build() {
  install_packages
  install_nats_server
  if is_stale; then (cd "$root" && "$bun" build.ts); fi
  # deno puts its own binary in place at its first run.
  if [ -n "${1:-}" ]; then
    "$root/node_modules/.bin/deno" --version >/dev/null
    install_test_packages
  fi
}

# ---------------------------------------------------------------------------------------- processes
# A process is called "master" or "keeper-K"; its data is $dir/NAME, its log $dir/NAME.log.

# The command line of a process, one argument a line; nothing for a dead one, and for a zombie.
command_line() {
  if [ -d /proc/self ]; then
    tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline" || true
  else
    ps -p "$1" -o command= 2>/dev/null | tr ' ' '\n' || true
  fi
}

# pid_of NAME: the pid, if that very process runs. A pid that was given to another process does not count.
pid_of() {
  [ -s "$dir/$1.pid" ] || return 1
  read -r written <"$dir/$1.pid" || return 1
  case $written in '' | *[!0-9]*) return 1 ;; esac
  command_line "$written" | grep -qxF -- "$dir/$1" || return 1
  say "$written"
}

is_running() { pid_of "$1" >/dev/null; }
is_stopped() { ! is_running "$1"; }

# The names of all keepers that ever ran here, in order.
keepers() {
  for path in "$dir"/keeper-*; do
    [ -d "$path" ] || continue
    case ${path##*/keeper-} in *[!0-9]*) continue ;; esac
    say "${path##*/keeper-}"
  done | sort -n | sed 's/^/keeper-/'
}

is_any_keeper_running() {
  for keeper in $(keepers); do
    if is_running "$keeper"; then return 0; fi
  done
  return 1
}

# has_line FILE: the file holds one whole line.
has_line() { [ -s "$1" ] && read -r _ <"$1"; }

is_master_ready() { has_line "$dir/master/join.client" && has_line "$dir/master/join.keeper"; }
is_keeper_ready() { [ -s "$dir/$1/ready" ]; }

# wait_ready NAME TEST…: until the test succeeds; a process that dies or takes too long shows the end of its log.
wait_ready() {
  awaited=$1
  shift
  wait_until 30 is_ready_or_dead "$awaited" "$@" || give_up "$awaited" 'it was not ready within 30 s'
  is_running "$awaited" || give_up "$awaited" 'it ended at once'
}

is_ready_or_dead() {
  is_running "$1" || return 0
  shift
  "$@"
}

give_up() {
  printf 'Cannot start %s: %s. The end of %s:\n' "$1" "$2" "$dir/$1.log" >&2
  tail -n 20 "$dir/$1.log" >&2 || true
  printf 'What else was started keeps running; to stop it: ./cluster.sh down --dir %s\n' "$(quote "$dir")" >&2
  exit 1
}

# launch NAME ARGUMENT…: runs tydfs in the background, apart from this terminal.
launch() {
  launched=$1
  shift
  printf -- '--- %s start of %s\n' "$(date '+%Y-%m-%d %H:%M:%S')" "$launched" >>"$dir/$launched.log"
  nohup "$binary" "$@" </dev/null >>"$dir/$launched.log" 2>&1 &
  printf '%s\n' "$!" >"$dir/$launched.pid"
  # Until nohup is in its place, the command line is that of this script.
  wait_until 5 is_launched "$launched" "$!" || true
}

is_launched() { is_running "$1" || ! kill -0 "$2" 2>/dev/null || is_zombie "$2"; }
is_zombie() { [ -d /proc/self ] && [ -z "$(command_line "$1")" ]; }

start_master() {
  mkdir -p "$dir/master"
  # Running keepers know the old port; when there are none, any free one will do.
  port=0
  if is_any_keeper_running && [ -s "$dir/master.port" ]; then read -r port <"$dir/master.port"; fi
  rm -f "$dir/master/join.client" "$dir/master/join.keeper"
  stop_orphans
  (
    unset TYDFS_URL
    # Fewer keepers than the usual copies: ask for what is possible.
    if [ "$1" -gt 0 ] && [ "$1" -lt 3 ]; then export TYDFS_REPLICAS="${TYDFS_REPLICAS:-$1}"; fi
    if [ "$1" = 1 ]; then export TYDFS_MIN_COPIES="${TYDFS_MIN_COPIES:-$1}"; fi
    launch master master --data "$dir/master" --host 127.0.0.1 --port "$port"
  )
  wait_ready master is_master_ready
  read -r url <"$dir/master/join.client"
  printf '%s\n' "${url##*:}" | tr -dc '0-9\n' >"$dir/master.port"
  write_env "$url"
}

# write_env URL: the file to be sourced; it holds a secret.
write_env() {
  (
    umask 077
    {
      printf 'export TYDFS_URL=%s\n' "$(quote "$1")"
      # shellcheck disable=SC2016 # PATH is that of who sources the file
      printf 'export PATH=%s:"$PATH"\n' "$(quote "$root/dist")"
    } >"$dir/env"
  )
}

quote() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

launch_keeper() {
  mkdir -p "$dir/$1"
  rm -f "$dir/$1/ready"
  (
    read -r TYDFS_URL <"$dir/master/join.keeper"
    export TYDFS_URL
    launch "$1" keeper --data "$dir/$1" --name "$1" --port 0
  )
}

# stop NAME…: asks all, then waits for each; what does not end in time is killed.
stop() {
  for name in "$@"; do
    pid=$(pid_of "$name") || continue
    kill -TERM "$pid" 2>/dev/null || true
  done
  for name in "$@"; do
    if ! wait_until 20 is_stopped "$name"; then
      say "$name does not stop: killing it"
      kill_hard "$name"
    fi
    rm -f "$dir/$name.pid"
  done
}

kill_hard() {
  pid=$(pid_of "$1") || return 1
  kill -KILL "$pid" 2>/dev/null || true
  wait_until 10 is_stopped "$1" || fail "Cannot kill $1: process $pid is still there"
  rm -f "$dir/$1.pid"
}

# A master that was killed leaves its nats-server behind; it is known by the data directory in its arguments.
stop_orphans() {
  [ -d /proc/self ] || return 0
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    case $(command_line "$pid" | head -n 1) in *nats-server*) ;; *) continue ;; esac
    command_line "$pid" | grep -qF -- "$dir/master/" || continue
    kill -TERM "$pid" 2>/dev/null || true
    wait_until 5 is_gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
  done
}

is_gone() { ! kill -0 "$1" 2>/dev/null || is_zombie "$1"; }

# ----------------------------------------------------------------------------------------- commands

up() {
  number=$1
  known=$(keepers | grep -c . || true)
  [ -n "$number" ] || number=$known
  [ "$number" -gt 0 ] || number=3
  if is_running master; then
    say "The cluster in $dir is running."
    list_processes
    for name in $(keepers); do
      is_running "$name" || say "To start ${name} again: ./cluster.sh start ${name#keeper-}"
    done
    return 0
  fi
  build
  start_master "$number"
  wanted=$(seq 1 "$number" | sed 's/^/keeper-/')
  for name in $wanted; do is_running "$name" || launch_keeper "$name"; done
  for name in $wanted; do wait_ready "$name" is_keeper_ready "$name"; done
  say "The cluster in $dir is up: a master and $number keepers. To use it:"
  say "  . $(quote "$dir/env")"
}

down() {
  stopped=
  for name in $(keepers) master; do
    if is_running "$name"; then stopped="$stopped $name"; fi
  done
  # Keepers go first, so that each can take its leave of the master.
  # shellcheck disable=SC2046 # names have no blanks
  stop $(keepers)
  stop master
  stop_orphans
  if [ -n "$stopped" ]; then say "Stopped:$stopped"; else say "The cluster in $dir is not running."; fi
}

list_processes() {
  for name in master $(keepers); do
    if pid=$(pid_of "$name"); then
      printf '%-12s running  pid %s\n' "$name" "$pid"
    else
      printf '%-12s stopped\n' "$name"
    fi
  done
}

status() {
  list_processes
  is_running master || fail "The master in $dir is not running."
  with_url "$binary" status
}

# with_url COMMAND…: runs it as a client of this cluster.
with_url() {
  (
    read -r TYDFS_URL <"$dir/master/join.client"
    export TYDFS_URL
    exec "$@"
  )
}

logs() {
  for path in "$dir"/*.log; do
    [ -f "$path" ] || continue
    label=$(basename "$path" .log)
    # shellcheck disable=SC2086 # "$1" is -f or nothing
    tail -n 20 $1 "$path" | awk -v label="$label" '{ printf "%-10s| %s\n", label, $0; fflush() }' &
    [ -n "$1" ] || wait
  done
  wait
}

# name_of WHO: "2" is keeper-2.
name_of() {
  case $1 in
    master | keeper-[0-9]*) say "$1" ;;
    '' | *[!0-9]*) wrong_usage "Cannot tell who \"$1\" is: give the number of a keeper, or \"master\"" ;;
    *) say "keeper-$1" ;;
  esac
}

kill_one() {
  name=$(name_of "$1")
  is_running "$name" || fail "Cannot kill $name: it is not running"
  kill_hard "$name"
  say "Killed $name."
}

start_one() {
  name=$(name_of "$1")
  if is_running "$name"; then
    say "$name is running."
    return 0
  fi
  build
  if [ "$name" = master ]; then
    start_master "$(keepers | grep -c . || true)"
  else
    is_running master || fail "Cannot start $name: the master is not running"
    launch_keeper "$name"
    wait_ready "$name" is_keeper_ready "$name"
  fi
  say "Started $name."
}

# --------------------------------------------------------------------------------------------- demo

step=0
headline() {
  step=$((step + 1))
  printf '\n== %s. %s\n' "$step" "$*"
}

# show ARGUMENT…: prints a tydfs command, and runs it.
show() {
  say "\$ tydfs $*"
  with_url "$binary" "$@"
}

# ask SCRIPT: a node script over what "tydfs status --json" says, as s; true when its value is.
ask() {
  with_url "$binary" status --json 2>/dev/null | node -e '
    const s = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
    process.exit(eval(process.argv[1]) ? 0 : 1);' "$1" 2>/dev/null
}

# keeper_state_is NAME STATE
keeper_state_is() { ask "s.keepers.some((k) => k.name === '$1' && k.state === '$2')"; }

is_repaired() { keeper_state_is "$1" DEAD && is_whole; }

is_whole() {
  ask '
    s.chunks.total > 0 && s.chunks.atGoal === s.chunks.total && s.chunks.under === 0 &&
      s.chunks.lost === 0 && s.repairs.running + s.repairs.queued === 0'
}

# The name of a keeper with a copy of the file's first chunk.
holder_of() {
  with_url "$binary" stat --json --locations "$1" >"$demo_dir/stat.json"
  with_url "$binary" status --json >"$demo_dir/status.json"
  node -e '
    const [stat, status] = process.argv.slice(1).map((f) => JSON.parse(require("node:fs").readFileSync(f, "utf8")));
    const holder = stat.chunks[0].holders[0].keeper;
    const keeper = status.keepers.find((k) => k.id === holder || k.name === holder);
    console.log(keeper.name);' "$demo_dir/stat.json" "$demo_dir/status.json"
}

has_no_surplus() { ask 's.keepers.reduce((sum, k) => sum + k.chunks, 0) <= s.replicas * s.chunks.total'; }

# rot_a_byte PATH: writes over a byte in a keeper's copy of the file's first chunk.
rot_a_byte() {
  rotten=$(holder_of "$1")
  chunk=$(node -p 'JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8")).chunks[0].id' \
    "$demo_dir/stat.json")
  copy=$(find "$dir/$rotten/chunks" -type f -name "$chunk")
  # What is there already would not be rot.
  byte=$(dd if="$copy" bs=1 skip=5000 count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
  if [ "$byte" = 88 ]; then byte=Y; else byte=X; fi
  printf %s "$byte" | dd of="$copy" bs=1 seek=5000 conv=notrunc 2>/dev/null
  say "Wrote over a byte of $rotten's copy: ${copy#"$dir/"}"
}

make_video() {
  if ! has ffmpeg; then
    { has apt-get && [ "$(id -u)" = 0 ]; } ||
      fail 'Cannot make a video: ffmpeg is missing; install it, or give a file: ./cluster.sh demo FILE'
    say 'Installing ffmpeg'
    install_quietly ffmpeg
  fi
  say 'Making a video of 60 s'
  ffmpeg -hide_banner -loglevel error -nostdin -y \
    -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000 \
    -t 60 -c:v libx264 -preset ultrafast -qp 8 -pix_fmt yuv420p -c:a aac -b:a 128k -movflags +faststart "$1"
}

end_demo() {
  code=$?
  trap - EXIT INT TERM
  set +e
  headline 'Stopping everything'
  down
  if [ "$code" != 0 ]; then
    say "The demonstration failed; logs and data are in $dir"
  elif [ -n "$made_dir" ]; then
    rm -rf "$made_dir"
  fi
  if [ "$code" = 0 ]; then say 'Success: the video that came back is identical to the one that was put.'; fi
  exit "$code"
}

demo() {
  file=$1
  made_dir=
  build
  if [ -z "$is_dir_given" ]; then
    made_dir=$(mktemp -d "${TMPDIR:-/tmp}/tydfs-demo-XXXXXX")
    dir=$made_dir
  fi
  is_stopped master ||
    fail "Cannot run the demonstration: the cluster in $dir is running; stop it, or choose another --dir"
  demo_dir=$dir/demo
  rm -rf "$demo_dir" && mkdir -p "$demo_dir"
  trap end_demo EXIT
  trap 'exit 130' INT TERM

  headline 'A video'
  if [ -z "$file" ]; then
    file=$demo_dir/video.mp4
    make_video "$file"
  fi
  [ -f "$file" ] || fail "Cannot use \"$file\": it is no file"
  say "$file: $(wc -c <"$file" | tr -d ' ') bytes"

  headline 'A master and 4 keepers on this machine'
  up 4

  headline 'The video is put; the answer comes when the copies are on disk'
  show put "$file" /demo/video.mp4

  headline 'Where its chunks are'
  show stat --locations /demo/video.mp4

  victim=$(holder_of /demo/video.mp4)
  headline "A keeper with a copy dies: kill -9 of $victim"
  kill_one "$victim"

  headline 'The video is read while that keeper is dead'
  show get /demo/video.mp4 "$demo_dir/back.mp4"
  cmp "$file" "$demo_dir/back.mp4"
  say 'cmp: identical'

  headline 'The master notices, and has the lost copies made again on other keepers'
  wait_until 60 is_repaired "$victim" || {
    show status || true
    fail 'The repair was not done within 60 s'
  }
  show status

  headline "$victim comes back"
  start_one "$victim"
  wait_until 30 keeper_state_is "$victim" ALIVE || fail "$victim was not ALIVE within 30 s"
  show status

  headline 'A byte of a copy rots on its disk; a scrub finds it, and a good copy takes its place'
  # A copy too many is about to be removed: that is no place for it.
  wait_until 15 has_no_surplus || true
  rot_a_byte /demo/video.mp4
  show scrub /demo/video.mp4 || [ $? = 7 ] || fail 'The scrub failed'
  wait_until 60 is_whole || {
    show status || true
    fail 'The bad copy was not made anew within 60 s'
  }
  say 'All copies are good again.'

  headline 'The video is removed by mistake, and comes back'
  show rm /demo/video.mp4
  show undelete /demo/video.mp4

  headline 'The video is read once more, and compared'
  show get /demo/video.mp4 "$demo_dir/again.mp4"
  cmp "$file" "$demo_dir/again.mp4"
  say 'cmp: identical'
}

# ---------------------------------------------------------------------------------------- arguments

command=
argument=
dir=$PWD/.cluster
is_dir_given=
with_tests=
follow=
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --dir)
      [ -n "${2:-}" ] || wrong_usage 'Cannot read --dir: a directory must follow'
      dir=$2
      is_dir_given=yes
      shift
      ;;
    --dir=?*)
      dir=${1#--dir=}
      is_dir_given=yes
      ;;
    --tests) with_tests=yes ;;
    -f | --follow) follow=-f ;;
    -*) wrong_usage "Cannot read \"$1\": no such option" ;;
    *)
      if [ -z "$command" ]; then
        command=$1
      elif [ -z "$argument" ]; then
        argument=$1
      else
        wrong_usage "Cannot read \"$1\": one argument too many"
      fi
      ;;
  esac
  shift
done

# Relative names must not change what a process is known by.
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
if [ -d "$dir" ]; then dir=$(CDPATH='' cd -- "$dir" && pwd); fi
open_dir() {
  mkdir -p "$dir"
  dir=$(CDPATH='' cd -- "$dir" && pwd)
}

# Failures are to be seen within seconds here, not minutes; what the caller has set is kept.
export TYDFS_REPAIR_DELAY="${TYDFS_REPAIR_DELAY:-2s}"
export TYDFS_DEAD_AFTER="${TYDFS_DEAD_AFTER:-4s}"

case $command in
  build | down | status | logs)
    [ -z "$argument" ] || wrong_usage "Cannot read \"$argument\": \"$command\" takes no argument"
    ;;
  kill | start) [ -n "$argument" ] || wrong_usage "Cannot $command: give the number of a keeper, or \"master\"" ;;
  up) case $argument in *[!0-9]* | 0) wrong_usage "Cannot start \"$argument\" keepers: give a number from 1 on" ;; esac ;;
  *) ;;
esac

case $command in
  build) build "$with_tests" ;;
  up) open_dir && up "$argument" ;;
  down) down ;;
  status) status ;;
  logs) logs "$follow" ;;
  kill) kill_one "$argument" ;;
  start) open_dir && start_one "$argument" ;;
  demo) [ -z "$is_dir_given" ] || open_dir; demo "$argument" ;;
  '')
    usage >&2
    exit 2
    ;;
  *) wrong_usage "Cannot run \"$command\": no such command" ;;
esac
