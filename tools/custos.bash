# bash completion for custos                              -*- shell-script -*-
# SPDX-License-Identifier: MIT

# Data symbols of the program on the command line, for -k.
_custos_symbols()
{
	local word
	for word in "${COMP_WORDS[@]:2}"; do
		if [[ -f $word ]] && type nm &>/dev/null; then
			nm --defined-only "$word" 2>/dev/null |
				awk '$2 ~ /^[BbDdRrGg]$/ { print $3 }'
		fi
	done
}

_custos()
{
	local cur prev command options verbs
	COMPREPLY=()
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}
	command=${COMP_WORDS[1]}

	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W \
			'run trace replay doctor decode emulate help --help --version' -- "$cur"))
		return
	fi
	case $command in
	run)
		options='--keep --script --output --record --regs --stacks
			--module --cpus --memory
			--json --cost --print --when --rep --plugin --log --watch
			--who --guard --freeze --uninit --inject
			--race --lockcheck --share --device
			--default --budget --trust-script --virtual-time
			--dry-run --dot
			--no-table-sharing --kernel
			--quiet --help'
		case $prev in
		--log | --watch | --who | --guard | --freeze | --uninit | \
			--inject | --race | --lockcheck | --share)
			COMPREPLY=($(compgen -W '$(_custos_symbols)' -- "$cur"))
			compopt -o nospace
			return
			;;
		--device)
			compopt -o nospace
			return
			;;
		-k | --keep)
			COMPREPLY=($(compgen -W '$(_custos_symbols) device:' \
				-- "$cur"))
			return
			;;
		-s | --script)
			COMPREPLY=($(compgen -d -S / -- "$cur")
				$(compgen -f -X '!*.lua' -- "$cur"))
			compopt -o nospace
			return
			;;
		--plugin)
			COMPREPLY=($(compgen -d -S / -- "$cur")
				$(compgen -f -X '!*.so' -- "$cur"))
			compopt -o nospace
			return
			;;
		--default)
			COMPREPLY=($(compgen -W 'pass deny' -- "$cur"))
			return
			;;
		--cpus)
			COMPREPLY=($(compgen -W '1 2 4 8 16' -- "$cur"))
			return
			;;
		--memory)
			COMPREPLY=($(compgen -W '64M 256M 1G 2G' -- "$cur"))
			return
			;;
		--budget) return ;;
		esac
		;;
	replay)
		options='--run --changed --keep --script --output --json --cost
			--print --when --plugin --log --watch --who --guard
			--freeze --uninit --inject --race --lockcheck --share
			--device --default --budget --trust-script --quiet
			--help'
		case $prev in
		-s | --script)
			COMPREPLY=($(compgen -d -S / -- "$cur")
				$(compgen -f -X '!*.lua' -- "$cur"))
			compopt -o nospace
			return
			;;
		--default)
			COMPREPLY=($(compgen -W 'pass deny' -- "$cur"))
			return
			;;
		esac
		;;
	trace)
		# VERB: its options, one line each.
		verbs='info print who history memory report origin check export import sql plot diff merge cut lua'
		if ((COMP_CWORD == 2)); then
			COMPREPLY=($(compgen -W "$verbs --help" -- "$cur"))
			return
		fi
		case ${COMP_WORDS[2]} in
		plot)
			options='--output --svg --png --html --text --ascii
				--by-number --range --when --process --from --to
				--help'
			;;
		info) options='--json --help' ;;
		print)
			options='--range --when --process --from --to
				--json --csv --time --stacks --help'
			;;
		who) options='--at --process --json --help' ;;
		history)
			options='--range --when --process --from --to
				--changes --json --help'
			;;
		memory) options='--at --diff --process --help' ;;
		report)
			options='--range --when --process --from --to
				--top --json --help'
			;;
		diff)
			options='--range --when --process --from --to
				--first --top --ignore-values --help'
			;;
		origin) options='--at --steps --process --help' ;;
		merge) options='--help' ;;
		cut) options='--range --when --process --from --to --help' ;;
		check) options='--quiet --help' ;;
		export)
			if ((COMP_CWORD == 3)); then
				COMPREPLY=($(compgen -W 'jsonl csv tsv
					sqlite ctf chrome lackey din memtrace' -- "$cur"))
				return
			fi
			options='--output --range --when --process --from --to
				--help'
			;;
		import) options='--output --fetches --help' ;;
		sql)
			options='--csv --json --range --when --process --from
				--to --help'
			;;
		*) options='--help' ;;
		esac
		;;
	doctor) options='--json --help' ;;
	emulate) options='--help' ;;
	decode) options='--json --address --help' ;;
	help)
		COMPREPLY=($(compgen -W 'run trace replay doctor decode emulate' -- "$cur"))
		return
		;;
	*) return ;;
	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
	elif [[ $command == run || $command == trace || $command == replay ]]; then
		compopt -o filenames -o default
		COMPREPLY=($(compgen -f -- "$cur"))
	fi
}
complete -F _custos custos
