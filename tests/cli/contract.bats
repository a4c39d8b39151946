#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# What holds for every command: help, version, mistakes, bad input, exit codes.

bats_require_minimum_version 1.5.0
load things
load needs
load contract.bash

@test "every command prints help on stdout, within 80 columns" {
	for c in $COMMANDS; do
		run --separate-stderr "$c" --help
		[ "$status" -eq 0 ] && [ -z "$stderr" ] || { echo "$c: $status $stderr"; return 1; }
		[[ "$output" == "Usage: $c "* ]]
		! grep -nE '.{81}' <<<"$output" || { echo "$c: too wide"; return 1; }
		run "$c" -h
		[ "$status" -eq 0 ]
	done
}

@test "every command prints its version as three numbers on the first line" {
	for c in $COMMANDS pdata_tools; do
		run --separate-stderr "$c" -V
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "$c: $output"; return 1; }
	done
}

@test "the version names the project on the second line, behind the bare number" {
	for c in $COMMANDS pdata_tools; do
		run --separate-stderr "$c" --version
		[ "${lines[1]}" = "$c is part of thin-pool-tools" ] || { echo "$c: $output"; return 1; }
		[ "${#lines[@]}" -eq 2 ]
	done
}

@test "--version -v tells the compiler, the machine and the libraries, in either order" {
	for c in $COMMANDS; do
		run --separate-stderr "$c" --version -v
		[ "$status" -eq 0 ]
		[[ "$output" == *"compiler: "*" bits, "*" endian"* ]] || { echo "$c: $output"; return 1; }
		[[ "$output" == *"libraries: "[a-z]*"reports: "*@* ]] || { echo "$c: $output"; return 1; }
	done
	[ "$(thin_check -v --version)" = "$(thin_check --version -v)" ]
	[ "$(thin_check --verbose --version)" = "$(thin_check --version --verbose)" ]
	if ldd "$(command -v thin_restore)" | grep -q libexpat; then
		[[ "$(thin_restore --version -v)" == *libexpat* ]]
	fi
}

@test "the command's name is bold on a terminal, and plain with NO_COLOR, TERM=dumb or in a file" {
	need_terminal
	bold() { TERM=$1 NO_COLOR=$2 SHOW_BOLD=1 python3 "$abs_top_srcdir/tests/on_terminal" thin_check nothing; }
	[[ "$(bold xterm '')" == "<bold>thin_check: "* ]]
	[[ "$(bold xterm 1)" == "thin_check: "* ]]
	[[ "$(bold dumb '')" == "thin_check: "* ]]
	[[ "$(SHOW_BOLD=1 env -u TERM python3 "$abs_top_srcdir/tests/on_terminal" thin_check nothing)" == "thin_check: "* ]]
	run --separate-stderr env TERM=xterm thin_check nothing
	[[ "$stderr" == "thin_check: "* ]]
}

@test "no command takes an abbreviated long option; it names the whole one" {
	local c o short help re i longs shorts n=0
	for c in $COMMANDS; do
		help=$("$c" --help)
		longs=() shorts=()
		for o in $(long_options <<<"$help"); do
			short=${o%??}
			re=" $short( |\[|"$'\n'")"
			[ "${#short}" -gt 2 ] && ! [[ "$help"$'\n' =~ $re ]] || continue
			longs+=("$o")
			shorts+=("$short")
		done
		each_alone "$c" "${shorts[@]}"
		n=$((n + ${#shorts[@]}))
		for i in "${!shorts[@]}"; do
			alone $i
			expect 64 "$c ${shorts[i]}"
			[[ "$stderr" == *"unexpected argument '${shorts[i]}' found: write the whole name, "*"'${longs[i]}'"* ]] ||
				{ echo "$c ${shorts[i]}: $stderr"; return 1; }
		done
	done
	[ $n -gt 200 ]
	run --separate-stderr thin_check --auto "$DIR/meta"
	expect 64 "thin_check --auto"
	[[ "$stderr" == *"'--auto-repair'"* ]]
}

@test "options may follow arguments, also where POSIXLY_CORRECT is set" {
	local c
	for c in $COMMANDS; do
		run --separate-stderr env POSIXLY_CORRECT=1 "$c" word --help
		[ "$status" -eq 0 ] && [[ "$output" == "Usage: $c"* ]] || { echo "$c: $status $stderr"; return 1; }
	done
	POSIXLY_CORRECT=1 thin_check "$DIR/meta" -q
}

@test "no paragraph of help has a line of one word in its middle" {
	for c in $COMMANDS; do
		"$c" --help >help
		! awk 'alone && /^[^ ]/ { print last; bad = 1 } { alone = /^[^ ]+$/; last = $0 } END { exit !bad }' help ||
			{ echo "$c: a line of one word"; return 1; }
	done
}

@test "a slip in an option's name is told with the name that was meant" {
	for o in --quite:--quiet --auto-repare:--auto-repair --skip_mappings:--skip-mappings --formt=json:--format; do
		run --separate-stderr thin_check "${o%%:*}" "$DIR/meta"
		expect 64 "thin_check $o"
		[[ "$stderr" == *"found: did you mean '${o#*:}'?"* ]] || { echo "$o: $stderr"; return 1; }
	done
	for o in --zzz --no-such-option --x; do
		run --separate-stderr thin_check "$o" "$DIR/meta"
		[[ "$stderr" != *"did you mean"* ]] || { echo "$o: $stderr"; return 1; }
	done
}

@test "an unknown option exits 64 and points to --help" {
	for c in $COMMANDS; do
		run --separate-stderr "$c" --no-such-option
		expect 64 "$c"
		[[ "$stderr" == *"unexpected argument '--no-such-option' found"* ]]
		[[ "$stderr" == *"Try '$c --help'"* ]]
		run --separate-stderr "$c" -@
		expect 64 "$c"
	done
}

@test "no arguments at all exit 64" {
	for c in $COMMANDS; do
		run --separate-stderr "$c"
		expect 64 "$c"
	done
}

@test "the engine option of other generations is taken by everything that reads metadata" {
	for c in $METADATA_COMMANDS; do
		run --separate-stderr "$c" --io-engine bogus
		expect 64 "$c"
		[[ "$stderr" == *"unknown io engine type 'bogus'"* ]]
	done
	thin_check --io-engine sync -v "$DIR/meta"
}

@test "readers never modify their input" {
	cp "$DIR/meta" meta
	local before; before=$(sha256sum meta data)
	for c in $READERS; do
		with_input "$c" meta
		[ "$status" -eq 0 ] || { echo "$c: $status $stderr"; return 1; }
	done
	[ "$before" = "$(sha256sum meta data)" ]
}

@test "every option of --help is in the man page" {
	local c o page re n=0
	for c in $COMMANDS; do
		page=$(sed 's/\\-/-/g; s/\\f[BIRP]//g' "$abs_top_srcdir/man/$c.8")
		for o in $("$c" --help | grep -oE '^  +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -- '--?[A-Za-z][A-Za-z0-9-]*'); do
			re="(^|[^-a-z0-9])$o([^-a-z0-9]|\$)"
			[[ "$page" =~ $re ]] || { echo "$c: $o is not in its man page"; return 1; }
			n=$((n + 1))
		done
	done
	[ $n -gt 200 ]
}

@test "every long option in a man page's option list is one that the command takes" {
	local c i options n=0
	for c in $COMMANDS; do
		# shellcheck disable=SC2207 # words
		options=($(sed 's/\\-/-/g; s/\\f[BIRP]//g' "$abs_top_srcdir/man/$c.8" |
			awk '/^\.TP/ { getline; print }' | grep -oE -- '(^|[ ,])--[a-z0-9-]+' | tr -d ' ,'))
		each_alone "$c" "${options[@]}"
		n=$((n + ${#options[@]}))
		for i in "${!options[@]}"; do
			alone $i
			[[ "$stderr" != *"unexpected argument '${options[i]}' found"* ]] || { echo "$c: man page names ${options[i]}"; return 1; }
		done
	done
	[ $n -gt 200 ]
}

@test "man pages are well formed" {
	need man
	for c in $COMMANDS; do
		! grep -iE 'warning|error' <<<"$(man --warnings -l "$abs_top_srcdir/man/$c.8" 2>&1 >/dev/null)" ||
			{ echo "$c"; return 1; }
	done
	! grep -iE 'warning|error' <<<"$(man --warnings -l "$abs_top_srcdir/man/thin-pool-table.5" 2>&1 >/dev/null)"
}

@test "output to a full disk exits 74 and says so" {
	[ -c /dev/full ] || skip "no /dev/full"
	for c in thin_dump thin_info thin_ls thin_check "thin_rmap --region 0..64" "thin_delta --thin1 1 --thin2 2"; do
		run --separate-stderr bash -c "$c '$DIR/meta' >/dev/full"
		expect 74 "$c"
		[[ "$stderr" == *"No space left"* ]]
	done
}

@test "an output that is no file and no block device exits 74 from every writer" {
	local c o
	mkdir folder && mkfifo pipe
	thin_metadata_pack -i "$DIR/meta" -o packed
	for o in folder pipe /dev/null; do
		for c in "thin_repair -i $DIR/meta -o" "thin_restore -i $DIR/pool.xml -o" "thin_metadata_unpack -i packed -o" \
			"thin_shrink --binary --no-copy -i $DIR/meta --nr-blocks 60 -o" "thin_apply -O raw -i data" \
			"thin_materialize --data-dev data $DIR/meta 1" "thin_materialize -O qcow2 --data-dev data $DIR/meta 1"; do
			run --separate-stderr timeout 20 $c $o
			[ "$status" -eq 74 ] && [[ "$stderr" == *"Invalid output file"* ]] || { echo "$c $o: $status $stderr"; return 1; }
		done
	done
}

@test "a closed pipe is silent" {
	for c in thin_dump thin_info thin_ls "thin_rmap --region 0..64"; do
		run --separate-stderr bash -c "set -o pipefail; $c '$DIR/meta' | :"
		[ -z "$stderr" ] || { echo "$c: $stderr"; return 1; }
		[ "$status" -ne 2 ] && [ "$status" -lt 128 ]
	done
}

# large outputs, which are written in pieces, and small ones
@test "a closed pipe is silent and a full disk is named once, in every form of output" {
	[ -c /dev/full ] || skip "no /dev/full"
	cd "$BATS_TEST_TMPDIR"
	"$abs_top_builddir/bench/mkpool" frag 0.01 big
	truncate -s 1G data
	while read -r c; do
		run --separate-stderr bash -c "$c | :"
		[ -z "$stderr" ] || { echo "$c: $stderr"; return 1; }
		run --separate-stderr bash -c "$c >/dev/full"
		expect 74 "$c"
		[ "$(grep -c . <<<"$stderr")" -eq 1 ] && [[ "$stderr" == *"No space left on device" ]] ||
			{ echo "$c: $stderr"; return 1; }
	done <<-'EOF'
	thin_dump big
	thin_dump -o - big
	thin_dump -f json big
	thin_dump -f human_readable big
	thin_dump --repair big
	thin_delta --thin1 1 --thin2 1 big
	thin_delta --verbose --thin1 1 --thin2 1 big
	thin_delta -f json --thin1 1 --thin2 1 big
	thin_rmap --region 0..1000000 big
	thin_rmap -f json --region 0..1000000 big
	thin_ls big
	thin_ls --format json big
	thin_info big
	thin_info --format json big
	thin_info --format html big
	thin_check big
	thin_check --format json big
	thin_repair --list-roots -i big
	thin_repair --dry-run --format json -i big
	thin_materialize --data-dev data --map big 1
	thin_materialize --data-dev data --map=json big 1
	thin_metadata_pack -i big -o -
	thin_metadata_size -b64k -s1t -m1000
	thin_dump --help
	EOF
	run --separate-stderr bash -c "thin_dump -q big >/dev/full"
	[ "$status" -eq 74 ] && [ -z "$stderr" ]
	run --separate-stderr bash -c "thin_ls -q big >/dev/full"
	[ "$status" -eq 74 ] && [ -z "$stderr" ]
}

@test "a closed stdout does not end up in somebody's file" {
	for c in thin_dump thin_info thin_ls thin_check; do
		run --separate-stderr bash -c "$c '$DIR/meta' >&-"
		[ "$status" -ne 2 ] && [ "$status" -lt 128 ] || { echo "$c: $status"; return 1; }
	done
}

@test "no command exits 2 or crashes, whatever the words" {
	local words=(-m -m9 --metadata-snap=x -i -o '' "$DIR/meta" "$DIR/pool.xml" /dev/null /dev/full . 0 1 -1
		99999999999999999999 --dev-id --format json xml --region 1..0 0..5 --thin1 --thin2 --nr-blocks
		--size --origin -q --data-dev --block-size --pool-size -b64k -s1t -m10 --repair --force)
	local seed=${SEED:-$RANDOM} i j c args lines
	RANDOM=$seed
	for ((i = 0; i < 20; i++)); do
		for c in $COMMANDS pdata_tools; do
			args=()
			for ((j = RANDOM % 5; j >= 0; j--)); do args+=("${words[RANDOM % ${#words[@]}]}"); done
			# never let a writer near the sample
			[[ "$c ${args[*]}" == *"-o"* || $c == thin_message || $c == thin_check ]] && args=("${args[@]//$DIR\/meta/none}")
			printf '%q ' "$c" "${args[@]}"
			echo '</dev/null >log 2>&1; echo $?'
		done
	done >lines
	timeout 900 bash lines >statuses || :
	mapfile -t lines <lines
	mapfile -t STATUSES <statuses
	[ "${#lines[@]}" -eq 380 ]
	for i in "${!lines[@]}"; do
		case ${STATUSES[i]:-does not end} in
		0 | 1 | 64 | 74) ;;
		*) echo "SEED=$seed: ${lines[i]}: ${STATUSES[i]:-does not end}"; return 1 ;;
		esac
	done
}

@test "pdata_tools starts its commands by name and lists them" {
	run --separate-stderr pdata_tools thin_check -q "$DIR/meta"
	[ "$status" -eq 0 ]
	run --separate-stderr pdata_tools nonsense
	[ "$status" -eq 64 ]
	[[ "$stderr" == "unrecognised command"* ]]
	run --separate-stderr pdata_tools
	[ "$status" -eq 64 ]
	for c in $COMMANDS; do [[ "$stderr" == *"  $c"* ]]; done
	for words in -h --help; do
		run --separate-stderr pdata_tools $words
		[ "$status" -eq 0 ] && [ -z "$stderr" ]
		for c in $COMMANDS; do [[ "$output" == *"  $c"* ]]; done
	done
	for words in -V --version -h --help; do
		run --separate-stderr bash -c "pdata_tools $words >/dev/full"
		[ "$status" -eq 74 ] && [[ "$stderr" == "pdata_tools: cannot write to standard output: "* ]]
		run --separate-stderr bash -c "pdata_tools $words >&-"
		[ "$status" -eq 74 ]
	done
}

@test "pdata_tools is also what a link to it is called" {
	bin=$(dirname "$(command -v pdata_tools)")
	mkdir links beside
	ln -s "$bin/pdata_tools" links/thin_check
	run --separate-stderr links/thin_check -q "$DIR/meta"
	[ "$status" -eq 0 ]
	run links/thin_check -V
	[ "$output" = "$(thin_check -V)" ]
	ln -s "$bin/pdata_tools" links/thin_nonsense
	run --separate-stderr links/thin_nonsense
	[ "$status" -eq 64 ]
	# a link beside it leads nowhere, and it says so instead of starting itself for ever
	cp "$bin/pdata_tools" beside
	ln -s pdata_tools beside/thin_ls
	run --separate-stderr timeout 10 beside/pdata_tools thin_ls "$DIR/meta"
	[ "$status" -eq 74 ]
	run --separate-stderr timeout 10 beside/thin_ls "$DIR/meta"
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"must be in the same folder as pdata_tools"* ]]
	run --separate-stderr beside/pdata_tools thin_check
	[ "$status" -eq 74 ]
	[[ "$stderr" == *"cannot start"*"beside/thin_check"* ]]
}

@test "pdata_tools is installed only when configured so: cache_* and era_* of others are links to it" {
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$abs_top_builddir" install DESTDIR="$PWD/root" >log 2>&1 ||
		{ cat log; return 1; }
	find root -name 'thin_*' -type f -perm -u+x -printf '%f\n' | sort >have
	diff <(tr -s ' \t' '\n' <<<"$COMMANDS") have
	local found; found=$(find root -name '*pdata_tools*')
	if grep -q -- '--enable-pdata-tools' "$abs_top_builddir/config.status"; then
		[[ "$found" == */sbin/pdata_tools ]]
	else
		[ -z "$found" ]
	fi
}

@test "with ever less memory each command ends with 0, 1 or 74, never by a signal" {
	need_plain
	cd "$BATS_TEST_TMPDIR"
	truncate -s 16G big out
	truncate -s 8M data
	thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o big
	for kb in 600000 250000 120000 60000 30000 16000; do
		for c in "thin_check big" "thin_dump big" "thin_ls big" "thin_rmap --region 0..100 big" \
			"thin_delta --thin1 1 --thin2 3 big" "thin_repair -i big -o out" \
			"thin_trim --metadata-dev big --data-dev data" \
			"thin_restore -i $abs_top_srcdir/xml/good/tiny.xml -o out"; do
			status=0
			(ulimit -v $kb; exec $c) >log 2>&1 || status=$?
			case $status in 0 | 1 | 74) ;; *) echo "$c, $kb KiB: $status"; cat log; return 1 ;; esac
		done
	done
	status=0
	(ulimit -v 250000; exec thin_check big) >log 2>&1 || status=$?
	[ "$status" -eq 74 ]
	grep -q 'out of memory' log
}

# The limit goes down to what each program needs to start, so that each buffer and list is refused once.
@test "a command that runs out of memory exits 74 with one message, and no pool is lost" {
	need_plain
	truncate -s 8M pool new
	thin_restore -q -i "$abs_top_srcdir/xml/good/tiny.xml" -o pool
	cp "$abs_top_srcdir/xml/good/tiny.xml" .
	thin_metadata_pack -f -i pool -o pack
	truncate -s 8M data
	cp pool before
	cp new free
	touch -d @1 pool before new free # what is newer was written
	local kb=7000 failed=' ' c line said n
	while [ $kb -gt 2000 ]; do
		for c in 'thin_message pool create_thin\ 9' 'thin_message pool create_snap\ 9\ 1' \
			'thin_materialize --data-dev data --size 4M -f pool 1 image' 'thin_dump pool' 'thin_ls pool' \
			'thin_metadata_pack -f -i pool -o packed' 'thin_metadata_unpack -f -i pack -o new' \
			'thin_shrink --binary -i pool -o new --data data --nr-blocks 80' 'thin_check pool' \
			'thin_shrink -i tiny.xml -o new.xml --data data --nr-blocks 80' \
			'thin_trim --metadata-dev pool --data-dev data' 'thin_repair -i pool -o new' \
			'thin_restore -i tiny.xml -o new' 'thin_rmap --region 0..50 pool' \
			'thin_delta --thin1 1 --thin2 2 pool'; do
			status=0
			(ulimit -v $kb; eval exec "$c") >log 2>err || status=$?
			# one that can hardly start has nothing to say
			if [ $status -eq 0 ] || (ulimit -v $((kb - 150)); exec "${c%% *}" -V) >log 2>&1; then
				[ $status -eq 0 ] || [ $status -eq 74 ] || { echo "$c, $kb KiB: $status"; cat err; return 1; }
				[ $status -eq 0 ] || {
					failed+="${c%% *} "
					mapfile -t said <err
					n=0
					for line in "${said[@]}"; do [[ "$line" != *"out of memory"* ]] || n=$((n + 1)); done
					[ $n -eq 1 ] && [[ "$line" == "${c%% *}: "*"out of memory"* ]] || { cat err; return 1; }
				}
				if [[ $c == thin_message* && $status -eq 0 ]]; then
					thin_check -q pool
					cp -p before pool
				fi
			else
				status=
			fi
			[ ! pool -nt before ] || cmp pool before
			# what is written is the old contents, the new ones, or something that is refused
			[ new -nt free ] || continue
			if [ "$status" = 74 ] && ! cmp -s new free; then
				run thin_check new
				[ "$status" -eq 1 ]
			fi
			cp -p free new
		done
		kb=$((kb - 100))
	done
	[ "$(tr ' ' '\n' <<<"$failed" | sort -u | grep -c .)" -gt 6 ] || { echo "only these failed: $failed"; return 1; }
}

@test "a bad command line is told with -q, too, also where it shows only when the pool was opened" {
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o meta
	printf 'rbd diff v1\ne' >diff
	truncate -s 64K target
	while read -r line; do
		run --separate-stderr $line
		[ "$status" -eq 64 ] || { echo "$line: $status"; return 1; }
		[ -n "$stderr" ] || { echo "$line says nothing"; return 1; }
		[ -z "$output" ]
	done <<-'END'
		thin_check -q --bogus meta
		thin_check -q --pool p meta
		thin_dump -q -f bogus meta
		thin_materialize -q meta 1 out
		thin_apply -q --top -i diff target
		thin_message -q --pool p meta release_metadata_snap
		thin_repair -q --pool p -i meta -o out
	END
	# a failure that is no mistake on the command line stays silent
	run thin_dump -q -m meta
	[ "$status" -eq 1 ]
	[ -z "$output" ]
}

@test "numbers that no command can use are refused, or taken for the greatest that it can" {
	local n c
	cp "$DIR/meta" "$BATS_TEST_TMPDIR/meta"
	cd "$BATS_TEST_TMPDIR"
	for n in 0 64 129 2097280 18446744073709551615; do
		for c in 'thin_dump --repair' 'thin_repair -o out -i' 'thin_restore -o out -i'; do
			run --separate-stderr $c meta --data-block-size "$n"
			[ "$status" -eq 64 ] && [[ "$stderr" == *"'$n' is not a valid block size"* ]] || { echo "$c $n: $stderr"; return 1; }
		done
	done
	thin_check -q --jobs 1000 meta
	thin_ls --jobs 1000 meta | cmp - <(thin_ls --jobs 2 meta)
	# shellcheck disable=SC2046
	run --separate-stderr thin_ls meta $(yes -- '--pv meta' | head -257)
	[ "$status" -eq 64 ] && [[ "$stderr" == *"--pv is given more than 256 times"* ]]
}

@test "a file that another program writes: -U is offered by the commands that have it, and by no other" {
	need flock
	cp "$DIR/meta" "$BATS_TEST_TMPDIR/meta"
	cd "$BATS_TEST_TMPDIR"
	thin_metadata_pack -i meta -o pack
	run --separate-stderr flock meta thin_dump meta
	[ "$status" -eq 74 ] && [[ "$stderr" == *"is being written by another program"*"-U (--force-share) reads it anyway"* ]]
	run --separate-stderr flock pack thin_metadata_unpack -i pack -o made
	[ "$status" -eq 74 ] && [[ "$stderr" == *"is being written by another program"* && "$stderr" != *force-share* ]]
}
