#!/bin/sh
# SPDX-License-Identifier: MIT
# The test runner must notice failures, skips, crashes, hangs and lost tests.
set -u
run=$(pwd)/tests/support/run
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
mkdir build

script() # NAME LINE...
{
	name=$1
	shift
	printf '%s\n' "#!/bin/sh" "$@" >"$name"
	chmod +x "$name"
}

expect() # WHAT EXIT-CODE CLOSING-LINE TEST...
{
	what=$1 code=$2 line=$3
	shift 3
	out=$(sh "$run" -t 2 -b build "$@" 2>&1)
	got=$?
	last=$(printf '%s\n' "$out" | tail -n 1)
	if [ $got -eq "$code" ] && [ "$last" = "$line" ]; then
		echo "ok - $what"
	else
		echo "$out"
		echo "not ok - $what: exit code $got, \"$last\""
	fi
}

script good 'echo 1..2' 'echo "ok 1 - a"' 'echo "ok 2 - b"'
script bad 'echo 1..2' 'echo "ok 1 - a"' 'echo "not ok 2 - b"' 'exit 1'
script lying 'echo "not ok 1 - but exit code 0"'
script short 'echo 1..3' 'echo "ok 1 - a"'
script crash 'echo "ok 1 - a"' 'kill -SEGV $$'
script hang 'sleep 30'
script silent 'exit 0'
script mute 'exit 3'
script skips 'echo 1..1' 'echo "# skipped: no luck"' 'echo "not ok 1 # SKIP a"' \
	'exit 0'
script later 'echo "skipped: no /dev/kvm"' 'exit 77'

expect "all good" 0 "3 passed, 0 failed, 0 skipped" good silent
expect "one failure fails the run" 1 "3 passed, 1 failed, 0 skipped" good bad
expect "a failure with exit code 0" 1 "2 passed, 1 failed, 0 skipped" \
	good lying
expect "tests that never ran" 1 "1 passed, 1 failed, 0 skipped" short
expect "a crash" 1 "1 passed, 1 failed, 0 skipped" crash
expect "a hang" 1 "2 passed, 1 failed, 0 skipped" good hang
expect "an exit code alone" 1 "0 passed, 1 failed, 0 skipped" mute
expect "skips are counted" 0 "2 passed, 0 failed, 2 skipped" good skips later
expect "all skipped is not green" 1 "0 passed, 0 failed, 2 skipped" \
	skips later
expect "no tests at all is not green" 1 "0 passed, 0 failed, 0 skipped"
expect "a missing test" 1 "2 passed, 1 failed, 0 skipped" good nowhere

# (not by a pipe into grep -q: SIGPIPE would keep the runner from tidying up)
reasons=$(sh "$run" -b build skips later)
if printf '%s\n' "$reasons" | grep -q '1 no luck$'; then
	echo "ok - reasons of skips are told"
else
	echo "not ok - reasons of skips are told"
fi
