#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The page of thin_info --format html, also in a real browser: "npm ci" in tests/web brings what drives it.

bats_require_minimum_version 1.5.0
load needs

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

fixture() { tar --zstd -xf "$abs_top_srcdir/tests/fixtures/$1.tar.zst"; }

@test "thin_info: the page is one file that asks for nothing else" {
	fixture extorigin-snaps
	thin_info --format html extorigin-snaps/tables >page
	[ "$(head -1 page)" = '<!DOCTYPE html>' ]
	[ "$(tail -1 page)" = '</html>' ]
	! grep -nE 'https?:|src=|@import|url\(' page
}

@test "thin_info: a name with HTML in it stays text" {
	fixture plain
	sed 's|^t0:|</script><b>:|' plain/tables >plain/table
	thin_info --format html plain/table >page
	[ "$(grep -c '</script>' page)" = 2 ]
	grep -q '"name": "\\u003c/script>\\u003cb>"' page
}

@test "thin_info: a damaged pool gives no page, and no page is made of the superblock alone" {
	fixture plain
	top=$(($(od -An -tu8 -j320 -N8 plain/meta.img | tr -d ' ') * 4096))
	printf 'spoilt' | dd of=plain/meta.img bs=1 seek=$((top + 99)) conv=notrunc status=none
	run --separate-stderr thin_info --format html plain/meta.img
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	run --separate-stderr thin_info --format html --super-block-only plain/meta.img
	[ "$status" -eq 64 ]
}

@test "thin_info: ten million mappings make a page of less than 2 MB" {
	awk 'BEGIN {
		print "<superblock uuid=\"\" time=\"2\" transaction=\"9\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"16000000\">"
		for (d = 0; d < 4; d++) {
			printf "<device dev_id=\"%d\" mapped_blocks=\"2500000\" transaction=\"0\" creation_time=\"0\" snap_time=\"2\">\n", d
			for (i = 0; i < 1000; i++)
				printf "<range_mapping origin_begin=\"%d\" data_begin=\"%d\" length=\"2500\" time=\"1\"/>\n",
					i * 3000, (i * 7919 % 1000 * 4 + d) * 3900
			print "</device>"
		}
		print "</superblock>"
	}' >xml
	truncate -s 256M big
	thin_restore -q -i xml -o big
	thin_info --format html big >page
	[ "$(stat -c %s page)" -lt 2000000 ]
	grep -q '"nr_mappings": 10000000' page
}

@test "thin_info: in a browser the page shows what thin_ls says, wide and narrow, dark and light" {
	need_plain "a browser finds in sanitized commands' pages what it finds in the others"
	chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "there is no Chromium"
	command -v node >/dev/null || skip "there is no node"
	[ -d "$abs_top_srcdir/tests/web/node_modules/playwright-core" ] || skip "npm ci was not run in tests/web"
	for name in extorigin-snaps snap-tree plain fresh many-thins; do
		fixture $name
		thin_info --format html $name/tables >page.html
		thin_ls --format json -o DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,SHARED_BLOCKS $name/tables >list.json
		mkdir -p "${SHOTS:-$PWD}/$name"
		bytes=$(thin_info --format json $name/tables | jq .data.block_bytes)
		HOME=$PWD timeout 600 node "$abs_top_srcdir/tests/web/page.mjs" "$PWD/page.html" list.json "$bytes" "$chromium" "${SHOTS:-$PWD}/$name"
	done
}

@test "thin_info: of very many devices the page has those with the most mappings, and counts the others" {
	awk 'BEGIN {
		print "<superblock uuid=\"\" time=\"0\" transaction=\"1\" version=\"2\" data_block_size=\"128\" nr_data_blocks=\"5000\">"
		for (i = 0; i < 2008; i++) {
			n = i > 2004 ? 0 : i < 10 ? 1 : 2 # so 1,995 devices come before five of ten that have as many mappings
			printf "<device dev_id=\"%d\" mapped_blocks=\"%d\" transaction=\"0\" creation_time=\"0\" snap_time=\"0\">", i, n
			if (n) printf "<range_mapping origin_begin=\"0\" data_begin=\"%d\" length=\"%d\" time=\"0\"/>", i * 2, n
			print "</device>"
		}
		print "</superblock>" }' >many.xml
	thin_restore -q -i many.xml -o many --size 16M
	thin_info --format html many | grep -oE '"(dev_id|more_devices)": [0-9]+' >ids
	[ "$(grep -c dev_id ids)" -eq 2000 ]
	[ "$(grep more_devices ids)" = '"more_devices": 8' ]
	diff <(grep dev_id ids | tr -dc '0-9\n' | sort -n) <(seq 0 4; seq 10 2004)
}
