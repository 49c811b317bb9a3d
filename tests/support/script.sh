# SPDX-License-Identifier: MIT
# For tests that are scripts (examples/*/test.sh, tests/cli): sourced. Speaks
# TAP; `work' is a directory that goes away.
set -u
CUSTOS=${CUSTOS:-build/custos}
CUSTOS_BUILD=${CUSTOS_BUILD:-build}
number=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

pass() # WHAT
{
	number=$((number + 1))
	echo "ok $number - $1"
}

fail() # WHAT [FILE...]: what was seen is in the files
{
	number=$((number + 1))
	echo "not ok $number - $1"
	shift
	for file in "$@"; do
		sed 's/^/#   /' "$file"
	done
}

skip() # WHAT REASON
{
	number=$((number + 1))
	echo "# skipped: $2"
	echo "ok $number - $1 # SKIP"
}

finish()
{
	echo "1..$number"
}

# verdict WHAT CONDITION...: for scripts that keep what they saw in `out'.
verdict()
{
	what=$1
	shift
	if "$@"; then
		pass "$what"
	else
		echo "$out" >"$work/why"
		fail "$what" "$work/why"
	fi
}

# count PATTERN WANT: so many lines of `out'
count()
{
	[ "$(echo "$out" | grep -c -- "$1")" = "$2" ]
}

# The whole script needs a KVM.
need_kvm()
{
	[ -r /dev/kvm ] && [ -w /dev/kvm ] && return
	skip "${0##*/}" "no /dev/kvm"
	finish
	exit 0
}

# run CUSTOS-ARGUMENTS...: exit code in `code', output in $work/out, err.
run()
{
	timeout -k 5 "${limit:-60}" "$CUSTOS" "$@" >"$work/out" 2>"$work/err" \
		</dev/null
	code=$?
}

# expect WHAT CODE [TEXT...]: the code of the latest run; each text in a line of
# what it printed on standard error or output, runs of blanks as one.
expect()
{
	what=$1 want=$2
	shift 2
	if [ $code != "$want" ]; then
		echo "exit code $code, expected $want" >"$work/why"
		fail "$what" "$work/why" "$work/out" "$work/err"
		return
	fi
	for text in "$@"; do
		cat "$work/out" "$work/err" | tr -s ' ' |
			grep -qF -e "$text" && continue
		echo "not there: $text" >"$work/why"
		fail "$what" "$work/why" "$work/out" "$work/err"
		return
	done
	pass "$what"
}

# expect_silence WHAT KEEPER CODE: the built-in keeper found nothing.
expect_silence()
{
	grep "^$2:" "$work/err" >"$work/why"
	if [ $code != "$3" ] || [ -s "$work/why" ]; then
		echo "exit code $code, expected $3" >>"$work/why"
		fail "$1" "$work/why" "$work/err"
	else
		pass "$1"
	fi
}

# expect_example DIRECTORY CUSTOS-ARGUMENTS...: what an example prints, but for
# what the compiler decides (addresses, instructions), and that nothing that
# it keeps was missed.
expect_example()
{
	name=${1##*/} expected=$1/expected
	shift
	timeout -k 5 100 "$CUSTOS" "$@" >"$work/all" 2>&1 </dev/null
	code=$?
	sed '/^custos: exited with/,$d' "$work/all" |
		sed 's/0x[0-9a-f]*/ADDRESS/g
			s/\(instruction ADDRESS\): .*/\1/' >"$work/seen"
	if cmp -s "$expected" "$work/seen"; then
		pass "$name prints what its README promises"
	else
		echo "exit code $code; expected (-) and seen (+):" >"$work/why"
		diff -u "$expected" "$work/seen" | sed 1,2d >>"$work/why"
		fail "$name prints what its README promises" "$work/why" \
			"$work/all"
	fi
	if grep -q '^missed *0$' "$work/all"; then
		pass "$name misses nothing"
	else
		fail "$name misses nothing" "$work/all"
	fi
}
