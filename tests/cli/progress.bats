#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What people and programs see of a long command, and what Ctrl-C leaves.  Commands are made slow by
# strace, which delays their system calls, or by a pipe that nobody reads.

bats_require_minimum_version 1.5.0
load needs

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	"$abs_top_builddir/bench/mkpool" frag 0.02 meta
	thin_dump meta -o xml
	thin_metadata_pack -i meta -o pack
	truncate -s 40G data
}

setup() {
	cd "$BATS_FILE_TMPDIR" || return 1
	need_terminal
	! nm "$abs_top_builddir/bin/thin_check" 2>/dev/null | grep -q __tsan_init || skip "threads under strace and TSan"
	rm -rf out && mkdir out
	export TERM=xterm # a build machine may have none, or a dumb one
}

on_terminal() {
	run timeout 50 python3 "$abs_top_srcdir/tests/on_terminal" "$@"
}

# need_slow: commands can be slowed down
need_slow() {
	command -v strace >/dev/null && strace -qq -o /dev/null -e inject=read:delay_exit=1 true 2>/dev/null ||
		skip "strace does not run here"
}

# slow CALLS MICROSECONDS COMMAND...: each call but the first ones (up to FIRST) takes so long
slow() {
	local calls=$1 us=$2
	shift 2
	local -x ASAN_OPTIONS=detect_leaks=0 # LeakSanitizer does not work under strace
	on_terminal $TERMINAL strace -f -qq -o /dev/null -e trace="$calls" -e inject="$calls":delay_exit="$us":when="${FIRST:-12}"+ "$@"
	# now and then strace itself writes to the terminal, when two threads stop at once
	output=$(sed 's/strace: dispatch_event: .*//' <<<"$output")
}

# Each long command with what slows it, its output in out/: NAME CALLS MICROSECONDS ARGUMENTS.
long_commands() {
	cat <<-'END'
		thin_check pread64,preadv 250000 meta
		thin_dump pread64,preadv 250000 -o out/xml meta
		thin_restore read 80000 -i xml -o out/new --size auto
		thin_repair pread64,preadv 150000 -i meta -o out/new --size auto
		thin_materialize pwrite64 300000 --reflink=never --sparse=never --size 100M --data-dev data -j 1 meta 1 out/image
		thin_metadata_pack pread64,preadv 700000 -i meta -o out/pack
		thin_metadata_unpack pread64 500000 -i pack -o out/meta
		thin_shrink pread64,preadv 150000 --binary --no-copy -i meta -o out/new --size auto --nr-blocks 3000000
	END
}

# long_command TERMINAL: one line of long_commands, in name, calls, us and args, in such a terminal
long_command() {
	rm -rf out/*
	[ "$name" != thin_metadata_unpack ] || FIRST=3
	TERMINAL=$1 slow "$calls" "$us" "$name" $args
}

@test "every long command shows how far it is; Ctrl-C: it says what is left, ends by the signal, leaves no file" {
	need_plain "sanitized commands are too slow for what is timed here"
	need_slow
	local name calls us args
	while read -r name calls us args; do
		long_command '-w 100 -k INT -s % -t 0.5'
		grep -E "^$name: [a-z ]+ +[0-9]+% \[=* *\] [0-9.]+ [KMG]?i?B of [0-9.]+ [KMG]?i?B, [0-9.]+ [KMG]?i?B/s(, [0-9:]+ left)?" <<<"$output" ||
			{ echo "$name: $output"; return 1; }
		grep -qE "^$name: interrupted: " <<<"$output" || { echo "$name: $output"; return 1; }
		[ "${lines[-1]}" = "signal 2" ] || { echo "$name: $output"; return 1; }
		[ -z "$(ls -A out)" ] || { echo "$name left $(ls -A out)"; return 1; }
	done < <(long_commands)
}

# SIGINT is ignored where the tests run in the background
@test "a signal around the moment when the output is marked: what is said of it is true" {
	need_slow
	local -x ASAN_OPTIONS=detect_leaks=0 # as in slow()
	local c call n said
	while read -r c; do
		for call in openat pwrite64 fdatasync; do
			for n in 1 2 3; do
				cp --sparse=always meta out/old
				strace -f -qq -o out/calls -e trace=$call -e inject=$call:signal=TERM:when=$n \
					bash -c "exec $c" 2>out/said || [ $? -eq 143 ] || { echo "$c: $(cat out/said)"; return 1; }
				said=$(grep interrupted out/said) || continue # the signal came before the beginning, or after the end
				if cmp -s out/old meta; then
					[[ "$said" == *"'out/old' is unchanged"* || "$said" == *"'out/old' is complete, or"* ]]
				else
					# the output is marked, or the command was just setting or removing the mark
					[[ "$said" == *"'out/old' is marked as not complete"* ]] && ! thin_check -q out/old ||
						[[ "$said" == *"or marked as not complete"* ]]
				fi || { echo "$c, $call $n: $said"; return 1; }
			done
		done
	done <<-END
		thin_restore -i xml -o out/old
		thin_repair -i meta -o out/old
	END
}

@test "a signal when the output has just got its name: it is called complete, and is" {
	need_strace
	local -x ASAN_OPTIONS=detect_leaks=0
	local c
	while read -r c; do
		strace -f -qq -o out/calls -e trace=/^rename -e inject=/^rename:signal=TERM \
			bash -c "exec $c" 2>out/said || [ $? -eq 143 ] || { echo "$c: $(cat out/said)"; return 1; }
		grep -q ': interrupted: the output is complete$' out/said || { echo "$c: $(cat out/said)"; return 1; }
		[ -s out/new ] && rm out/new
	done <<-END
		thin_restore -i xml -o out/new --size auto
		thin_repair -i meta -o out/new --size auto
		thin_shrink --binary --no-copy --nr-blocks 90000000 -i meta -o out/new --size auto
		thin_shrink --no-copy --nr-blocks 90000000 -i xml -o out/new
		thin_dump meta -o out/new
		thin_metadata_pack -i meta -o out/new
		thin_metadata_unpack -i pack -o out/new
		thin_materialize --size 1M --data-dev data meta 1 out/new
		thin_materialize -O qcow2 --size 1M --data-dev data meta 1 out/new
	END
}

# timeout(1) sends its signal to the command and to its group
@test "a signal that comes again and again ends a command once: it says what is left, and leaves no file" {
	local i n pid
	mkfifo fifo
	exec 8<>fifo
	for i in $(seq 40); do
		thin_repair -i - -o out/new --size 4M <fifo 2>said 8<&- &
		pid=$!
		# until it handles the signal
		for n in $(seq 500); do
			! grep -q '^thin_repair$' /proc/$pid/comm || [ $((0x$(sed -n 's/^SigCgt:\s*//p' /proc/$pid/status) & 0x4000)) -eq 0 ] || break
			sleep 0.01
		done
		python3 -c 'import os, signal, sys; [os.kill(int(sys.argv[1]), signal.SIGTERM) for _ in range(1000)]' $pid 2>python ||
			grep -q '^ProcessLookupError' python
		wait $pid && return 1 || [ $? -eq $((128 + 15)) ]
		[ "$(grep -c 'interrupted: ' said)" -eq 1 ] || { echo "run $i: '$(cat said)'"; return 1; }
		[ -z "$(ls -A out)" ]
	done
}

# narrowed WIDTH: the lines after the terminal got narrower, but for the first ones, which may have been under way
narrowed() { sed '1,/<resized>/d' | awk -v w="$1" 'NR > 5 || length < w { narrow = 1 } narrow'; }

@test "no line of progress is wider than the terminal, also after that got narrower" {
	need_slow
	for w in 80 40 20; do
		TERMINAL="-w $w -k INT -s checki -t 0.3" slow pread64,preadv 150000 thin_check meta
		! grep '^thin_check: checki' <<<"${output//^C/}" | grep -E "^.{$w}" || { echo "wider than $w"; return 1; }
		grep -q '^thin_check: checki' <<<"$output"
	done
	TERMINAL="-w 100 -W 50 -s % -t 0.3" slow pread64,preadv 90000 thin_check meta
	! narrowed 50 <<<"$output" | grep '^thin_check: ' | grep -E '^.{50}'
	narrowed 50 <<<"$output" | grep -q '^thin_check: checking'
}

@test "each long command's line of progress follows its terminal when that gets narrower" {
	need_plain "sanitized commands are too slow for what is timed here"
	need_slow
	local name calls us args
	while read -r name calls us args; do
		long_command '-w 100 -W 40 -k INT -s % -t 0.5'
		[ "${lines[-1]}" = "signal 2" ] || { echo "$name: $output"; return 1; }
		sed '/<resized>/,$d' <<<"$output" | grep -E "^$name: .{60}" || { echo "$name: $output"; return 1; }
		! sed '/<resized>/,$d' <<<"$output" | grep -E '^.{100}' || { echo "$name is wider than 100"; return 1; }
		narrowed 40 <<<"$output" | sed 's/\^C//; /interrupted/,$d' >out/narrow
		grep "^$name: .*[0-9]%" out/narrow || { echo "$name: $output"; return 1; }
		! grep -vE '(%| left|[0-9] ([KMG]i)?B(/s)?) ?$' out/narrow || { echo "$name: a number is cut off"; return 1; }
		! grep -E '^.{40}' out/narrow || { echo "$name is wider than 40"; return 1; }
	done < <(long_commands)
}

@test "no progress with -q, with --no-progress, in less than a second, on a dumb terminal, or where stderr is a file" {
	need_plain "sanitized commands are too slow for what is timed here"
	need_slow
	for o in -q --no-progress; do
		slow pread64,preadv 40000 thin_check "$o" meta
		[[ "$output" != *checking* ]]
	done
	on_terminal thin_check meta
	[[ "$output" != *checking* ]]
	TERM=dumb slow pread64,preadv 40000 thin_check meta
	[[ "$output" != *checking* ]]
	slow pread64,preadv 40000 sh -c 'thin_check meta 2>out/err'
	[ ! -s out/err ]
}

@test "a message does not stand behind a line of progress" {
	need_slow
	cp meta out/damaged
	printf x | dd of=out/damaged bs=1 seek=$((4096 * 900 + 100)) conv=notrunc status=none
	slow pread64,preadv 100000 thin_dump -o out/xml out/damaged
	grep '^thin_dump: reading' <<<"$output"
	grep -q '^thin_dump: .*checksum' <<<"$output"
	[ "${lines[-1]}" = "status 1" ]
}

@test "--progress-fd of every long command gets pairs that ascend, and the last one is the end" {
	local name calls us args
	while read -r name calls us args; do
		rm -rf out/*
		run "$name" --progress-fd 7 $args 7>out/progress
		[ "$status" -eq 0 ] || { echo "$name: $output"; return 1; }
		awk '!/^[0-9]+ [0-9]+$/ || $1 < 0 { exit 1 } END { exit !NR || !$1 }' out/progress ||
			{ echo "$name:"; cat out/progress; return 1; }
		run --separate-stderr "$name" --progress-fd x $args
		[ "$status" -eq 64 ]
	done < <(long_commands)
}

@test "--progress-fd of a pool on a stack of devices gets the same as that of its file, to the end" {
	local name args
	printf 'tmeta: 0 8 linear meta 0\ntmeta: 8 %d linear meta 8\npool: 0 83886080 thin-pool tmeta data 128 0\n' \
		$(($(stat -c %s meta) / 512 - 8)) >out/stack
	printf 'pool: 0 83886080 thin-pool ../meta data 128 0\n' >out/plain
	sed -i 's,linear meta,linear ../meta,; s, data , ../data ,' out/stack out/plain
	while read -r name args; do
		"$name" --progress-fd 7 ${args/POOL/out/plain} 7>out/progress >/dev/null
		rm -f out/new
		"$name" --progress-fd 7 ${args/POOL/out/stack} 7>out/progress.stack >/dev/null
		rm -f out/new
		[ "$(tail -n 1 out/progress)" = "$(tail -n 1 out/progress.stack)" ] ||
			{ echo "$name: $(tail -n 1 out/progress), stack $(tail -n 1 out/progress.stack)"; return 1; }
	done <<-'END'
		thin_check POOL
		thin_dump POOL
		thin_repair -i POOL -o out/new --size auto
		thin_metadata_pack -i POOL -o out/new
		thin_trim -n --metadata-dev POOL
		thin_shrink --binary --no-copy -i POOL -o out/new --size auto --nr-blocks 3000000
	END
}

@test "--progress-fd says that the end is not known where more is read than was expected" {
	truncate -s 16M out/small
	thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o out/small
	printf x | dd of=out/small bs=1 seek=4196 conv=notrunc status=none # a leaf: the whole device is searched
	thin_repair --accept-loss --progress-fd 7 -i out/small -o out/new --size auto 7>out/progress
	awk '$2 && $1 > $2 { exit 1 } !$2 { n++ } END { exit !n }' out/progress || { cat out/progress; return 1; }
}

@test "a descriptor of --progress-fd that nobody reads, or that is not open, stops nothing" {
	thin_check --progress-fd 7 meta 7>/dev/full
	thin_check --progress-fd 7 meta 7>&-
	thin_check --progress-fd 4294967303 meta 7>out/progress # 2^32 + 7 is not 7
	[ ! -s out/progress ]
	thin_dump -o out/dump --progress-fd 7 meta 7>/dev/null
	cmp out/dump xml
}

@test "thin_trim shows that it checks and tells its progress to a descriptor" {
	need_slow
	truncate -s 1G out/data
	truncate -s 1M out/meta
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o out/meta
	thin_trim --progress-fd 7 --metadata-dev out/meta --data-dev out/data 7>out/progress
	[ "$(wc -l <out/progress)" -ge 2 ]
	FIRST=3 slow pread64,preadv 500000 thin_trim -n --metadata-dev out/meta --data-dev out/data
	grep -q '^thin_trim: checking' <<<"$output"
}

@test "Ctrl-C: thin_trim says that a part is discarded, mapped blocks are as before, and the same command does the rest" {
	need_slow
	truncate -s 256K out/meta
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o out/meta # maps 10, 11, 12, 20, 30 of 100
	yes 'every sector has something' | head -c $((100 * 65536)) >out/before
	cp out/before out/data
	cp out/meta out/meta.before
	FIRST=1 TERMINAL='-w 100 -k INT -s % -t 0.5' slow fallocate 1200000 thin_trim --metadata-dev out/meta --data-dev out/data
	grep -E '^thin_trim: discarding +[0-9]+% ' <<<"$output" || { echo "$output"; return 1; }
	grep 'thin_trim: interrupted: only a part of the free blocks was discarded, and the pool is unchanged: run the same command again$' <<<"$output" ||
		{ echo "$output"; return 1; }
	[ "${lines[-1]}" = "signal 2" ]
	cmp out/meta out/meta.before
	cmp -n 65536 out/data /dev/zero                               # the first run of four is gone,
	cmp -i $((31 * 65536)) out/data out/before                     # the last one is not
	for b in 10 11 12 20 30; do
		cmp -n 65536 -i $((b * 65536)) out/data out/before
	done
	thin_trim --metadata-dev out/meta --data-dev out/data
	cmp -n $((69 * 65536)) -i $((31 * 65536)):0 out/data /dev/zero
	for b in 10 11 12 20 30; do
		cmp -n 65536 -i $((b * 65536)) out/data out/before
	done
}

@test "Ctrl-C: thin_trim says that nothing is discarded while it checks" {
	need_slow
	TERMINAL='-k INT -s % -t 0.2' slow pread64,preadv 300000 thin_trim --metadata-dev meta --data-dev data
	grep 'thin_trim: interrupted: nothing was discarded$' <<<"$output" || { echo "$output"; return 1; }
	[ "${lines[-1]}" = "signal 2" ]
	[[ "$output" != *"are free"* ]]
}

@test "thin_restore counts what it writes when the text comes through a pipe" {
	mkfifo out/fifo
	{ head -c 8M xml; sleep 1.5; tail -c +8388609 xml; } >out/fifo &
	truncate -s 64M out/new
	on_terminal thin_restore -i out/fifo -o out/new
	[[ "$output" == *"thin_restore: reading "*" B/s"* || "$output" == *"thin_restore: reading "*"iB/s"* ]] ||
		{ echo "$output"; return 1; }
	[ "${lines[-1]}" = "status 0" ]
}

@test "a terminal that is too narrow for the numbers gets none of them, and one that tells no width counts as one of 80" {
	need_slow
	TERMINAL='-w 20' slow pread64,preadv 60000 thin_check meta
	grep -qE '^thin_check: checkin$' <<<"$output" || { echo "$output"; return 1; }
	[ "${lines[-1]}" = "status 0" ]
	TERMINAL='-w 0' slow pread64,preadv 60000 thin_check meta
	grep -E '^thin_check: checking .{50}' <<<"$output" || { echo "$output"; return 1; }
	! grep -E '^.{80}' <<<"$output"
	[ "${lines[-1]}" = "status 0" ]
	on_terminal env -u TERM thin_check meta
	[ "${lines[-1]}" = "status 0" ]
	mkfifo out/fifo
	{ head -c 8M xml; sleep 1.5; tail -c +8388609 xml; } >out/fifo & # how long the text is, is not known
	truncate -s 64M out/new
	on_terminal -w 28 thin_restore -i out/fifo -o out/new
	grep -qE '^thin_restore: reading *$' <<<"$output" || { echo "$output"; return 1; }
	[ "${lines[-1]}" = "status 0" ]
}

@test "Ctrl-C: an output that existed is refused by all, and the same command makes it good" {
	need_plain "sanitized commands are too slow for what is timed here"
	need_slow
	cp meta out/meta
	truncate -s 64M out/meta # large enough that the pool is not built in memory first
	TERMINAL='-k INT -t 2' slow read 80000 thin_restore -i xml -o out/meta
	[[ "$output" == *"'out/meta' is marked as not complete"* ]] || { echo "$output"; return 1; }
	for c in "thin_check out/meta" "thin_dump out/meta" "thin_ls out/meta"; do
		run $c
		[ "$status" -eq 1 ]
	done
	thin_restore -i xml -o out/meta
	thin_check out/meta
	cp meta out/device
	on_terminal -k INT -t 2 strace -f -qq -o /dev/null -e trace=pwrite64 -e inject=pwrite64:delay_exit=1500000 thin_repair -i meta -o out/device
	[[ "$output" == *"'out/device' is marked as not complete"* ]] || { echo "$output"; return 1; }
}

@test "Ctrl-C says nothing with -q, and the exit is by the signal all the same" {
	need_slow
	TERMINAL='-k INT -t 0.8' slow pread64,preadv 300000 thin_check -q meta
	[[ "$output" != *interrupted* ]]
	[ "${lines[-1]}" = "signal 2" ]
}

@test "Ctrl-C: no line of progress comes between, however slow the terminal is" {
	need_slow
	FIRST=1 TERMINAL='-k INT -t 2.5' slow pread64,preadv,write 150000 thin_check meta
	grep -q '^thin_check: checking' <<<"$output" || { echo "$output"; return 1; }
	grep -q '^thin_check: interrupted: ' <<<"$output" || { echo "$output"; return 1; }
}

@test "SIGHUP that was ignored from the beginning stays ignored" {
	need_plain "sanitized commands are too slow for what is timed here"
	need_slow
	TERMINAL='-k HUP -t 0.8' slow pread64,preadv 40000 nohup thin_check meta
	[ "${lines[-1]}" = "status 0" ]
}

@test "progress lines are refused where they would be in the midst of the output" {
	local command
	cp "$abs_top_srcdir/xml/good/tiny.xml" tiny.xml
	thin_restore -q -i tiny.xml -o own.img --size 1M
	thin_metadata_pack -i own.img -o own.pack
	truncate -s 64M own.data
	for command in 'thin_dump own.img' 'thin_dump -o - own.img' 'thin_restore -i tiny.xml -o -' 'thin_repair -i own.img -o -' \
		'thin_metadata_pack -i own.img -o -' 'thin_metadata_unpack -i own.pack -o -' \
		'thin_shrink -i tiny.xml -o - --no-copy --nr-blocks 100' \
		'thin_materialize --data-dev own.data --size 1M own.img 1 -'; do
		# shellcheck disable=SC2086
		run --separate-stderr $command --progress-fd 1
		[ "$status" -eq 64 ] && [ -z "$output" ] || { echo "$command: $status"; return 1; }
		[[ "$stderr" == *"--progress-fd 1 is standard output"* ]]
	done
	run --separate-stderr thin_dump -o dump.xml --progress-fd 1 own.img
	[ "$status" -eq 0 ]
	[[ "${lines[-1]}" =~ ^[0-9]+\ [0-9]+$ ]]
}

@test "a signal at any read or write of thin_apply: what is said of the target is true" {
	need_strace
	local -x ASAN_OPTIONS=detect_leaks=0 # as in slow()
	local c call n said base image words
	head -c 300K /dev/urandom >out/image
	head -c 200K /dev/urandom >out/old
	base=$(sha256sum <out/old) image=$(sha256sum <out/image)
	while read -r c; do
		words=
		for call in read pread64 pwrite64 fdatasync; do
			for n in $(seq 12); do
				cp out/old out/target
				strace -f -qq -o out/calls -e trace=$call -e inject=$call:signal=TERM:when=$n \
					bash -c "exec thin_apply $c out/target" 2>out/said || [ $? -eq 143 ] || { echo "$c: $(cat out/said)"; return 1; }
				said=$(grep interrupted out/said) || continue # the signal came before the beginning, or after the end
				case $said in
				*"'out/target' is unchanged") words+=u; cmp out/old out/target ;;
				*"'out/target' is partly written: run the same command again") words+=p; [[ $c != *-n* ]] ;;
				*"'out/target' is written, but its SHA-256 was not compared: run the same command again") words+=w; cmp out/image out/target ;;
				*) false ;;
				esac || { echo "$c, $call $n: $said"; return 1; }
			done
		done
		case $c in *-n*) [[ $words =~ ^u+$ ]] ;; *) [[ $words == *u*p*w* || $words == *u*w*p* ]] ;; esac || { echo "$c: $words"; return 1; }
	done <<-END
		-i out/image -n --base-sha256 ${base%% *}
		-i out/image --base-sha256 ${base%% *} --sha256 ${image%% *}
	END
}
