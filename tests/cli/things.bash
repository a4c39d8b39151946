# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# For load: a small pool in each form that a command may read or write, in the file's folder.
setup_file() {
	cd "$BATS_FILE_TMPDIR"
	truncate -s 1M meta
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o meta
	cp "$abs_top_srcdir/xml/good/tiny.xml" xml
	thin_metadata_pack -i meta -o pack
	printf 'pool: 0 12800 thin-pool meta data 128 0\na: 0 1024 thin pool 1\n' >table
	truncate -s 6553600 data
}
