# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# For load: random pools with deep sharing, and the truth about them.
oracle() { awk -f "${abs_top_srcdir:-$BATS_TEST_DIRNAME/../..}/tests/oracle.awk" "$@"; }

setup_file() {
	export DIR=$BATS_FILE_TMPDIR
	truncate -s 256K "$DIR/tiny"
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o "$DIR/tiny"
	for seed in 1 2 3; do
		random_xml $seed >"$DIR/random$seed.xml"
		truncate -s 4M "$DIR/random$seed"
		thin_restore -q -i "$DIR/random$seed.xml" -o "$DIR/random$seed"
		# snapshots share whole trees, and snapshots of snapshots as well
		thin_message "$DIR/random$seed" 'create_snap 101 3' >"$DIR/log" 2>&1
		thin_message "$DIR/random$seed" 'create_snap 102 101' >"$DIR/log" 2>&1
		thin_dump --no-shared "$DIR/random$seed" >"$DIR/random$seed.flat"
	done
}

# Devices made of shared and of own parts; runs of all lengths, many that go on over leaves.
random_xml() {
	awk -v seed="$1" '
	function rnd(n) { return int(rand() * n) }
	function part(key, nr, data,   i, len) {
		for (i = 0; i < nr; i += len) {
			len = rnd(3) ? 1 : 1 + rnd(40)
			if (len > nr - i) len = nr - i
			if (!rnd(4)) data += rnd(7)
			printf "<range_mapping origin_begin=\"%d\" data_begin=\"%d\" length=\"%d\" time=\"0\"/>\n",
				key + i, data, len
			data += len
		}
	}
	BEGIN {
		srand(seed)
		print "<superblock uuid=\"\" time=\"1\" transaction=\"0\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"20000\">"
		for (d = 0; d < 8; d++) {
			printf "<def name=\"%d\">\n", d + 1
			part(d * 1000, 260 + rnd(600), rnd(9000))
			print "</def>"
		}
		for (n = 1; n <= 6; n++) {
			printf "<device dev_id=\"%d\" mapped_blocks=\"0\" transaction=\"0\" creation_time=\"0\" snap_time=\"1\">\n", n
			for (d = 0; d < 8; d++) {
				if (rnd(3)) printf "<ref name=\"%d\"/>\n", d + 1
				else if (rnd(2)) part(d * 1000, 1 + rnd(900), rnd(12000))
			}
			print "</device>"
		}
		print "</superblock>"
	}'
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

# Turns every byte of block $2 of file $1 over, the root of device 1 if not given.
spoil() {
	local top root
	top=$(($(od -An -tu8 -j320 -N8 "$1" | tr -d ' ') * 4096))
	root=$(od -An -tu8 -j$((top + 2048)) -N8 "$1" | tr -d ' ')
	printf 'spoilt' | dd of="$1" bs=1 seek=$((${2:-$root} * 4096 + 1000)) conv=notrunc status=none
}

numbers() { sed 's/[^0-9][^0-9]*/ /g; s/^ //; s/ $//'; }
