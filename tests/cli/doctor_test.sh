#!/bin/sh
# SPDX-License-Identifier: MIT
# custos doctor: its exit code and its output agree.
. tests/support/script.sh

has()
{
	case $1 in
	*"$2"*) return 0 ;;
	*) return 1 ;;
	esac
}

text=$("$CUSTOS" doctor 2>&1)
code=$?
json=$("$CUSTOS" doctor --json 2>&1)
json_code=$?
out="$text$json"

verdict "both forms exit alike" [ $code = $json_code ]
if [ $code = 0 ]; then
	verdict "usable, says the text" has "$text" "can run programs"
	verdict "usable, says the JSON" has "$json" '{"usable":true,'
	verdict "a guest was run" has "$text" "ok       guest: a guest booted"
else
	verdict "the exit code is 1" [ $code = 1 ]
	verdict "not usable, says the text" has "$text" "cannot run programs"
	verdict "not usable, says the JSON" has "$json" '{"usable":false,'
	verdict "there is advice" has "$text" "-> "
fi
"$CUSTOS" doctor extra >/dev/null 2>&1
verdict "an argument is refused" [ $? = 125 ]
"$CUSTOS" doctor --help | grep -q -- --json
verdict "help names the options" [ $? = 0 ]
