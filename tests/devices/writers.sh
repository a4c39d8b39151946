# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# shellcheck shell=sh
# To be read by a shell: every command that writes to a device.
#
#	writers_make          makes their inputs in this folder; PATH has our commands
#	writer NAME DEVICE    does it, in a folder with these inputs; MORE: further options
#	held_by NAME          which of the inputs the device must hold before, or nothing
#	pair NAME X Y         a command that reads X and writes Y; X holds source_of NAME
WRITERS='restore repair unpack shrink shrink-data trim message check materialize update apply apply-top apply-data apply-meta'
PAIRS='restore repair unpack shrink shrink-data shrink-both trim materialize-meta materialize-data materialize-origin
	apply apply-qcow2 apply-meta apply-data apply-origin message dump pack'
BLOCKS=64

writers_make() {
	cat >xml <<-'EOF'
	<superblock uuid="" time="1" transaction="3" version="2" data_block_size="128" nr_data_blocks="64">
	<device dev_id="1" mapped_blocks="12" transaction="0" creation_time="0" snap_time="1">
	<range_mapping origin_begin="0" data_begin="40" length="12" time="0"/></device>
	<device dev_id="2" mapped_blocks="10" transaction="1" creation_time="1" snap_time="1">
	<range_mapping origin_begin="0" data_begin="40" length="6" time="0"/>
	<range_mapping origin_begin="6" data_begin="30" length="4" time="1"/></device>
	</superblock>
	EOF
	rm -f pool leaky && truncate -s 1M pool && thin_restore -q -i xml -o pool && thin_metadata_pack -f -i pool -o pack &&
		cp pool leaky && damage leaky leak >/dev/null &&
		seq -f 'the pool has line %012.0f in its data' 1 99999999 | head -c $((BLOCKS * 65536)) >data &&
		echo "pool: 0 $((BLOCKS * 128)) thin-pool pool data 128 0
t1: 0 1536 thin pool 1
t2: 0 1536 thin pool 2" >table && head -c 786432 data >base &&
		thin_materialize -q -f table t1 image && thin_materialize -q -f -O qcow2 table t2 qcow2
}

held_by() {
	case $1 in
	message | apply-meta) echo pool ;;
	check) echo leaky ;;
	shrink-data | trim | apply-data) echo data ;;
	update | apply-top) echo image ;;
	esac
}

# The table with another device in place of the pool's, in a file of its own; ORIGIN: of t2.  No process is started.
table_with() { # METADATA DATA [ORIGIN [SECTORS of t1]]
	{
		read -r table_line && echo "${table_line% pool data *} $1 $2 ${table_line##* pool data }"
		read -r table_line && echo "t1: 0 ${4:-1536} ${table_line#t1: 0 1536 }"
		read -r table_line && echo "$table_line${3:+ $3}"
	} <table >table.new
}

writer() {
	case $1 in
	restore) thin_restore $MORE -i xml -o "$2" ;;
	repair) thin_repair $MORE -i pool -o "$2" ;;
	unpack) thin_metadata_unpack $MORE -i pack -o "$2" </dev/null ;;
	shrink) cp data data.new && thin_shrink $MORE --binary -i pool -o "$2" --data data.new --nr-blocks 24 ;;
	shrink-data) truncate -s 1M out && thin_shrink --binary -i pool -o out --data "$2" --nr-blocks 24 ;;
	trim) thin_trim --metadata-dev pool --data-dev "$2" ;;
	message) thin_message "$2" 'create_thin 77' ;;
	check) thin_check --auto-repair "$2" ;;
	materialize) thin_materialize $MORE table t1 "$2" ;;
	update) thin_materialize --since t1 table t2 "$2" ;;
	apply) thin_apply $MORE -i image "$2" ;;
	apply-top) thin_apply --top -i qcow2 "$2" ;;
	apply-data) cp pool pool.new && table_with pool.new "$2" && thin_apply -i base table.new t1 ;;
	apply-meta) cp data data.new && table_with "$2" data.new && thin_apply -i base table.new t1 ;;
	esac
}

source_of() {
	case $1 in
	restore) echo xml ;;
	unpack) echo pack ;;
	apply | materialize-origin | apply-origin) echo image ;;
	apply-qcow2) echo qcow2 ;;
	shrink-data | materialize-data) echo data ;;
	*) echo pool ;;
	esac
}

pair() {
	case $1 in
	restore) thin_restore --force -i "$2" -o "$3" ;;
	repair) thin_repair --force -i "$2" -o "$3" ;;
	unpack) thin_metadata_unpack -f -i "$2" -o "$3" ;;
	shrink) cp data data.new && thin_shrink -f --binary -i "$2" -o "$3" --data data.new --nr-blocks 24 ;;
	shrink-data) thin_shrink -f --binary -i pool -o "$3" --data "$2" --nr-blocks 24 ;;
	shrink-both) truncate -s 1M out && thin_shrink -f --binary -i "$2" -o out --data "$3" --nr-blocks 24 ;;
	trim) thin_trim -f --metadata-dev "$2" --data-dev "$3" ;;
	materialize-meta) table_with "$2" data && thin_materialize -f table.new t1 "$3" ;;
	materialize-data) table_with pool "$2" && thin_materialize -f table.new t1 "$3" ;;
	materialize-origin) table_with pool data "$2" && thin_materialize -f table.new t2 "$3" ;;
	apply) thin_apply -f -O raw -i "$2" "$3" ;;
	apply-qcow2) thin_apply -f -i "$2" "$3" ;;
	apply-meta) table_with "$2" "$3" && thin_apply -f -i base table.new t1 ;;
	apply-data) cp pool pool.new && table_with pool.new "$3" '' 8192 &&
		thin_apply -f -O raw -i "$2" table.new t1 ;;
	apply-origin) cp pool pool.new && table_with pool.new "$3" "$2" && thin_apply -f -i base table.new t2 ;;
	message) table_with "$2" "$3" && thin_message -f table.new 'create_thin 77' ;;
	dump) thin_dump --force -o "$3" "$2" ;;
	pack) thin_metadata_pack -f -i "$2" -o "$3" ;;
	esac
}
