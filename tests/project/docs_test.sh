#!/bin/sh
# SPDX-License-Identifier: MIT
# What --help, the man pages and the completion say is the same.
set -u
options_of() # reads text; long options, one per line
{
	grep -oE -- '(^|[^-a-z])--[a-z][-a-z]+' | grep -oE -- '--[a-z][-a-z]+' |
		sort -u
}

commands=$("$CUSTOS" help | sed -n 's/^  \([a-z]*\)  *.*/\1/p')
for command in $commands; do
	if grep -q "^	*'.*\<$command\>" tools/custos.bash &&
		grep -qE "Cm $command|Xr custos-$command" docs/man/custos.1
	then
		echo "ok - $command is in custos(1) and the completion"
	else
		echo "not ok - $command is in custos(1) and the completion"
	fi
	[ "$command" = help ] && continue
	page=docs/man/custos-$command.1
	if [ ! -e "$page" ]; then
		echo "not ok - $command has a man page"
		continue
	fi
	help=$("$CUSTOS" "$command" --help)
	if [ "$command" = trace ]; then
		for verb in $(printf '%s\n' "$help" |
			sed -n 's/^  \([a-z]*\)  *.*/\1/p'); do
			help="$help
$("$CUSTOS" trace "$verb" --help)"
			if grep -q "^		verbs='.*\<$verb\>" tools/custos.bash &&
				grep -q "^.Ss $verb\>" "$page"; then
				echo "ok - trace $verb is documented"
			else
				echo "not ok - trace $verb: man page, completion"
			fi
		done
	fi
	for option in $(printf '%s\n' "$help" | options_of); do
		word=$(printf '%s' "$option" | sed 's/^--//')
		if grep -qE -- "(Fl |, )-$word( |\$)" "$page" &&
			grep -qE -- "--$word( |'|\$)" tools/custos.bash; then
			echo "ok - $command $option is documented"
		else
			echo "not ok - $command $option: man page, completion"
		fi
	done
	for word in $(grep -oE -- '(Fl |, )-[a-z][-a-z]+' "$page" |
		sed 's/^[^-]*-//' | sort -u); do
		if printf '%s\n' "$help" | grep -qE -- "--$word( |,|\]|\$)"
		then
			echo "ok - $page: $word exists"
		else
			echo "not ok - $page: $word exists"
		fi
	done
done

# Every key of the JSON lines is in the man page.
prog=$CUSTOS_BUILD/guest/counter.elf
if [ ! -w /dev/kvm ]; then
	echo "# skipped: no /dev/kvm"
	echo "ok - keys of JSON lines # SKIP"
else
	keys=$("$CUSTOS" run --json -k counter "$prog" 1 2>&1 >/dev/null |
		grep -oE '"[a-z_]+":' | tr -d '":' | sort -u)
	[ -n "$keys" ] || echo "not ok - there are JSON lines"
	for key in $keys; do
		grep -qE "\<$key\>" docs/man/custos-run.1 ||
			echo "not ok - JSON key $key is in custos-run(1)"
	done
	echo "ok - keys of JSON lines were looked at"
fi

if bash -n tools/custos.bash; then
	echo "ok - the completion is bash"
else
	echo "not ok - the completion is bash"
fi

for page in docs/man/*.[1-9]; do
	if command -v groff >/dev/null; then
		out=$(groff -mdoc -ww -z -Tutf8 "$page" 2>&1)
	else
		out=
	fi
	if [ -z "$out" ]; then
		echo "ok - $page is clean"
	else
		echo "$out"
		echo "not ok - $page is clean"
	fi
done

for page in README.md HACKING.md docs/*.md docs/objects/*.md; do
	[ -e "$page" ] || continue
	for link in $(grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' |
		grep -v '^http'); do
		[ -e "$(dirname "$page")/$link" ] ||
			echo "not ok - $page links to $link"
	done
	echo "ok - $page was looked at"
done
