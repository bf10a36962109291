# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What binaries of different builds and word sizes have in common: layouts, headers, the library's interface

# shellcheck disable=SC2154 # stages is tests/run's
stages+=(abi)

abi_build=build/abi

# spoil "FILE..." PATTERN TEXT: a copy of the sources in $abi_build/spoiled with one edit, which each file must take.
spoil() {
	local copy=$abi_build/spoiled file
	rm -rf "$copy"
	mkdir -p "$copy"
	cp -r include agent libclient "$copy" || return
	for file in $1; do
		sed -Ei "s~$2~$3~" "$copy/$file" && ! cmp -s "$file" "$copy/$file" || return
	done
}

# spoiled NAME REGEX FILE PATTERN TEXT COMMAND...: the gate must refuse the spoiled copy.
spoiled() {
	check "abi: spoil for '$1'" spoil "${@:3:3}" && refuse "abi refuses $1" "$2" "${@:6}"
}

# A libonebeat.so from the spoiled copy.
spoiled_library() {
	local tree=$abi_build/spoiled
	gcc -shared -fPIC -g -O1 -std=gnu11 -D_GNU_SOURCE -DONEBEAT_VERSION='"0"' -fvisibility=hidden \
		-include "$tree/libclient/exports.h" -I "$tree/include" -Wl,-soname,libonebeat.so.0 \
		"-Wl,--version-script=$tree/libclient/onebeat.map" -o "$abi_build/spoiled.so" "$tree"/libclient/*.c
}

spoiled_interface() { # spoiled_interface NAME REGEX FILE PATTERN TEXT
	check "abi: spoil for '$1'" spoil "${@:3}" && check "abi: build it" spoiled_library &&
		refuse "abi refuses $1" "$2" \
			tests/abi/interface "$abi_build/spoiled.so" "$abi_build/spoiled/include/onebeat/onebeat.h"
}

abi_layout() {
	local gate=(tests/abi/layout --root "$abi_build/spoiled") header=include/onebeat/segment.h
	check "abi: layout of every shared field" tests/abi/layout
	spoiled "a field that moved" 'struct onebeat_block: slot is 4 bytes at 16' \
		$header 'onebeat_word slot;' 'onebeat_word before; onebeat_word slot;' "${gate[@]}"
	spoiled "a field that nobody wrote down" 'flags2 has no line in include/onebeat/layout.h' \
		$header 'onebeat_word flags;' 'uint16_t flags; uint16_t flags2;' "${gate[@]}"
	spoiled "a struct that nobody wrote down" 'struct onebeat_more has no line' \
		include/onebeat/lease.h '^struct onebeat_granted' \
		'struct onebeat_more {\n\tuint32_t n;\n};\nstruct onebeat_granted' "${gate[@]}"
	spoiled "a field as wide as a pointer" 'struct channel_msg: id is 8 bytes at 8' \
		agent/base/channel.h 'uint64_t id;' 'unsigned long id;' "${gate[@]}"
	spoiled "a journal's field that moved" 'struct journal_slot: order is 8 bytes at 24' \
		agent/segment/journal.h 'uint32_t policy;' 'uint64_t policy;' "${gate[@]}"
	spoiled "a cell's field that is not pinned" 'struct cell: spare is not pinned' \
		agent/segment/cells.c '_Atomic uint32_t check;' '_Atomic uint32_t check; uint32_t spare;' "${gate[@]}"
}

abi_headers() {
	local private=(agent/base/{channel,manifest}.h agent/segment/{journal,stamp,cells}.h) header
	for header in include/onebeat/*.h; do
		[[ $header == */onebeat.h ]] || private+=("$header")
	done
	check "abi: onebeat.h as C11, C17 and C++17" tests/abi/headers public include/onebeat/onebeat.h
	check "abi: ${#private[@]} private headers as C11 and C17" tests/abi/headers private "${private[@]}"
	spoiled "a header that leans on another" 'unknown type name .(uint32_t|size_t)' \
		include/onebeat/onebeat.h '#include <std(int|def).h>' '' \
		tests/abi/headers public "$abi_build/spoiled/include/onebeat/onebeat.h"
	spoiled "a header that is no C++" "error: .*(class|identifier)" \
		include/onebeat/onebeat.h 'uint32_t max_instances;' 'uint32_t class;' \
		tests/abi/headers public "$abi_build/spoiled/include/onebeat/onebeat.h"
}

abi_interface() {
	check "abi: libonebeat.so as it was released" tests/abi/interface build/lib/libonebeat.so
	spoiled_interface "a function removed" '\[D\] .*onebeat_tick' \
		libclient/onebeat.map 'onebeat_\[a-z\]' 'onebeat_[a-su-z]'
	spoiled_interface "a parameter changed" "parameter 2 of type 'int' changed" \
		"include/onebeat/onebeat.h libclient/wait.c" 'int state, int timeout_ms' 'long state, int timeout_ms'
	spoiled_interface "a struct's field moved" 'struct onebeat_options' \
		include/onebeat/onebeat.h '\tuint32_t timeout_ms;' '\tuint32_t before;\n\tuint32_t timeout_ms;'
}

stage_abi() { # layouts, headers, the interface; a 32-bit client; the first version with today's
	built build all || return
	mkdir -p "$abi_build"
	abi_layout
	abi_headers
	abi_interface
	check "abi: libonebeat with 32-bit words" tests/abi/puppet32 build "$abi_build/puppet32" &&
		ONEBEAT_PUPPET32=$PWD/$abi_build/puppet32 tests/gates/integration build tests/abi
}
