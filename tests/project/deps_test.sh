#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/deps on systems that are not this one: package managers that only
# write down what they are asked to do.
set -u
top=$PWD
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

fake() # NAME LINE...
{
	printf '%s\n' '#!/bin/sh' "$2" >"$dir/bin/$1"
	chmod +x "$dir/bin/$1"
}

# A system with these commands only, and with a package manager or none.
system() # apt-get | dnf | pacman | none
{
	rm -rf "$dir/bin" "$dir/log" "$dir/installed"
	mkdir "$dir/bin"
	: >"$dir/log"
	for tool in sh sed grep id cat env ls echo; do
		ln -s "$(command -v $tool)" "$dir/bin/$tool" 2>/dev/null ||
			ln -s "/bin/$tool" "$dir/bin/$tool"
	done
	fake id 'echo 0'
	[ "$1" = none ] || fake "$1" "echo \"$1 \$*\" >>'$dir/log'
case \"\$*\" in *install*|*-S*) >'$dir/installed';; esac
[ \"\$1\" != -T ] || [ -e '$dir/installed' ]"
	fake dpkg-query "[ ! -e '$dir/installed' ] || echo installed"
	fake rpm "[ -e '$dir/installed' ]"
}

# As on a machine with KVM, unless said otherwise.
CUSTOS_KVM=/dev/null
export CUSTOS_KVM

deps()
{
	PATH=$dir/bin sh "$top/tools/deps" "$@" >"$dir/out" 2>&1
}

check() # WHAT COMMAND...
{
	what=$1
	shift
	if "$@"; then
		echo "ok - $what"
	else
		cat "$dir/out" "$dir/log"
		echo "not ok - $what"
	fi
}
logged()
{
	grep -qE -- "$1" "$dir/log"
}
said()
{
	grep -qE -- "$1" "$dir/out"
}

system apt-get
check "Debian: installs" deps
check "Debian: updates the lists first" logged '^apt-get .*update$'
check "Debian: asks for Zydis" logged 'install .*libzydis-dev'
check "Debian: no test packages unless asked" \
	sh -c "! grep -q cmocka '$dir/log'"
: >"$dir/log"
check "nothing missing: succeeds" deps --test
check "nothing missing: touches nothing" test ! -s "$dir/log"
check "nothing missing: says so" said 'everything is there'

system apt-get
deps --test
check "--test asks for cmocka and QEMU" \
	logged 'libcmocka-dev qemu-system-x86'
system apt-get
deps
check "with KVM: no QEMU unless asked" sh -c "! grep -q qemu '$dir/log'"
system apt-get
CUSTOS_KVM=$dir/none deps
check "without KVM: asks for QEMU, which the demo needs" \
	logged 'qemu-system-x86 busybox-static'
check "without KVM: no cmocka unless asked" sh -c "! grep -q cmocka '$dir/log'"
system apt-get
deps --print
check "--print says what is missing" said 'apt-get install .*libelf-dev'
check "--print touches nothing" test ! -s "$dir/log"

system dnf
check "Fedora: installs" deps
check "Fedora: asks for elfutils" logged '^dnf -y install .*elfutils-devel'
system pacman
check "Arch: installs" deps
check "Arch: asks for Capstone" logged '^pacman -S.*capstone'

system none
check "elsewhere: fails" sh -c "! PATH='$dir/bin' sh tools/deps >'$dir/out'"
check "elsewhere: says what to install" said 'Zydis 4'

system apt-get
fake id 'echo 1000'
deps
check "without root and sudo: says what to run" said '^ +apt-get .*update$'
fake sudo "echo \"sudo \$*\" >>'$dir/log'; exec \"\$@\""
check "with sudo: installs" deps
check "with sudo: by sudo" logged '^sudo apt-get'
check "an unknown option is refused" sh -c "! sh tools/deps --tset 2>/dev/null"
