#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors

bats_require_minimum_version 1.5.0

# $1 = wanted output; the rest are arguments
gives() {
	local want=$1
	shift
	run --separate-stderr thin_metadata_size "$@"
	[ "$status" -eq 0 ] && [ "$output" = "$want" ] ||
		{ echo "$*: status $status, '$output' and not '$want' $stderr"; return 1; }
}

refuses() {
	local want=$1
	shift
	run --separate-stderr thin_metadata_size "$@"
	[ "$status" -eq 64 ] && [[ "$stderr" == *"$want"* ]] ||
		{ echo "$*: status $status, $stderr"; return 1; }
}

@test "size: prints the sentence that programs look for" {
	gives 'thin_metadata_size - 1073232 sectors estimated metadata area size for "--block-size=64kibibytes --pool-size=1tebibytes --max-thins=1000"' -b64k -s1t -m1000
	gives 'thin_metadata_size - 1064 sectors estimated metadata area size for "--block-size=128sectors --pool-size=2097152sectors --max-thins=1"' -b128 -s2097152 -m1
}

@test "size: prints the number alone, with a letter or with a name, in both spellings of the option" {
	gives 1073232 -b64k -s1t -m1000 -n
	gives 524.04 -b64k -s1t -m1000 -u m -n
	for n in -nshort -n=short --numeric-only=short; do gives 524.04m -b64k -s1t -m1000 -um $n; done
	for n in -nlong -n=long --numeric-only=long; do gives 524.04mebibytes -b64k -s1t -m1000 -um $n; done
	gives 549.49M -b64k -s1t -m1000 -u M -n=short
	gives 536616kibibytes -b64k -s1t -m1000 -u k -nlong
	gives 0.5117568969726563gibibytes -b64k -s1t -m1000 -u g -nlong
	gives 0.0004997625946998596tebibytes -b64k -s1t -m1000 -u t -nlong
	gives 0.953125 -b64k -s1900m -m1 -n -u m
	gives 549494784b -b64k -s1t -m1000 -u b -nshort
}

@test "size: takes the units of the old tools and of the new ones" {
	for b in 65536b 128s 64KiB 64kibibyte 64kibibytes 64kib 128 128sectors 65536bytes; do
		for s in 1t 1TiB 1tebibyte 1024g 1tebi 1099511627776b 2147483648; do
			gives 1073232 -b $b -s $s -m 1000 -n
		done
	done
	gives 976824 -b64k -s1T -m1000 -n -us
	gives 976824 -b64k -s1TB -m1000 -n -us
	gives 976824 -b64k -s1terabyte -m1000 -n -us
	gives 1073424 -b64k -s1t -m1k -n
	gives 0.0000000000000004545314320238136 -b64k -s1t -m1000 -n -uy
}

@test "size: the answer is capped at what the format can use" {
	gives 33292800 -b64k -s1e -m1 -n
	gives 33292800 -b64k -s1t -m99999999999 -n
}

@test "size: a small pool with every block mapped fits and leaves the kernel's tenth" {
	for spec in "1 1" "16 1" "16 40" "300 1" "1024 1" "1024 300" "3000 2" "5000 1000"; do
		set -- $spec
		sectors=$(thin_metadata_size -b64k -s $(($1 * 64))k -m $2 -n)
		rm -f meta
		truncate -s $((sectors * 512)) "$BATS_TEST_TMPDIR/meta"
		# the other devices map a block each, device 1 all that are left
		awk -v nb="$1" -v thins="$2" 'BEGIN {
			print "<superblock uuid=\"\" time=\"0\" transaction=\"0\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"" nb "\">"
			for (d = 1; d <= thins; d++) {
				print "<device dev_id=\"" d "\" mapped_blocks=\"1\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">"
				if (d < nb && d > 1)
					print "<single_mapping origin_block=\"0\" data_block=\"" d - 2 "\" time=\"0\"/>"
				if (d == 1) for (b = thins < nb ? thins - 1 : nb - 1; b < nb; b++)
					print "<single_mapping origin_block=\"" b "\" data_block=\"" b "\" time=\"0\"/>"
				print "</device>"
			}
			print "</superblock>" }' >"$BATS_TEST_TMPDIR/pool.xml"
		thin_restore -q -i "$BATS_TEST_TMPDIR/pool.xml" -o "$BATS_TEST_TMPDIR/meta"
		free=$(thin_check "$BATS_TEST_TMPDIR/meta" 2>/dev/null | sed -n 's/METADATA_FREE_BLOCKS=//p')
		total=$((sectors / 8))
		[ "$free" -ge $((total / 10 + 10)) ] || { echo "$spec: $free of $total free"; false; }
	done
}

@test "size: names mistakes in its options" {
	refuses 'block size required!' -s1t -m1
	refuses 'pool size required!' -b64k -m1
	refuses 'max thins required!' -b64k -s1t
	refuses 'block size must be a multiple of 64 KiB' -b1k -s1t -m1
	refuses 'block size must be a multiple of 64 KiB' -b0 -s1t -m1
	refuses 'block size must be a multiple of 64 KiB' -b65k -s1t -m1
	refuses 'maximum block size is 1 GiB' -b2g -s1t -m1
	refuses 'pool size must be larger than block size' -b128k -s64k -m1
	refuses 'Invalid unit specifier' -b64q -s1t -m1
	refuses 'Invalid unit specifier' -b64k -s'1 t' -m1
	refuses 'Invalid unit specifier' -b64k -s1t -m1 -uq
	refuses 'Invalid unit specifier' -b64k -s1t -m1 -u ''
	refuses 'invalid option argument' -b64k -s1t -m1 -nmedium
	refuses 'is not a number' -b64k -s-1t -m1
	refuses 'is not a number' -b64k -s1t -m ''
	refuses 'too large' -b64k -s99999999999999999999 -m1
	refuses 'too large' -b64k -s18446744073709551616 -m1
	refuses "'x' is not a number" -b64k -sx -m1
	refuses "'-1' is not a number" -b64k -s-1 -m1
	refuses 'too large' -b64k -s18446744073709551620 -m1
	refuses 'too many' -b64k -s16e -m1
	refuses 'too large' -b64k -s1z -m1
}

@test "size: a pool of one block, and one without thins, have an answer" {
	run thin_metadata_size -b64k -s64k -m1 -n
	[ "$status" -eq 0 ] && [ "$output" -ge 160 ]
	run thin_metadata_size -b64k -s1t -m0 -n
	[ "$status" -eq 0 ] && [ "$output" -eq 1065232 ]
}

@test "callers: stratis reads a bare number, convoy the number of sectors in a sentence" {
	gives "$(($(thin_metadata_size -b1m -s1t -m200 -n) * 512))" -b1048576b -s1099511627776b -m200 -ub -n
	run thin_metadata_size --block-size=128s --pool-size=2097152s --max-thins=1 --unit=s
	[[ "$output" =~ ^thin_metadata_size\ -\ ([0-9]+)\ sectors\ estimated\  ]]
	[ "${BASH_REMATCH[1]}" = 1064 ]
}

@test "thin_metadata_size: what exceeds the format's maximum is noted on standard error" {
	run --separate-stderr thin_metadata_size -b64k -s1e -m1 -n
	[ "$status" -eq 0 ]
	[ "$output" = 33292800 ]
	[[ "$stderr" == *"largest metadata device that the format allows"*"larger"*blocks* ]]
	run --separate-stderr thin_metadata_size -b64k -s1t -m1000 -n
	[ -z "$stderr" ]
}
