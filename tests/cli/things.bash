# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# For load: a small pool in each form that a command may read or write, in the file's folder, and
# another one as XML.
setup_file() {
	cd "$BATS_FILE_TMPDIR"
	truncate -s 1M meta
	thin_restore -i "$abs_top_srcdir/xml/good/tiny.xml" -o meta
	cp "$abs_top_srcdir/xml/good/tiny.xml" xml
	thin_metadata_pack -i meta -o pack
	printf 'pool: 0 12800 thin-pool meta data 128 0\na: 0 1024 thin pool 1\n' >table
	truncate -s 6553600 data
}

# XML: a device and a snapshot of it, which share four blocks.
two_devices() {
	cat <<-'XML'
	<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="64">
	  <device dev_id="1" mapped_blocks="4" transaction="0" creation_time="0" snap_time="1">
	    <range_mapping origin_begin="3" data_begin="10" length="4" time="0"/>
	  </device>
	  <device dev_id="2" mapped_blocks="4" transaction="1" creation_time="1" snap_time="1">
	    <range_mapping origin_begin="3" data_begin="10" length="4" time="0"/>
	  </device>
	</superblock>
	XML
}
