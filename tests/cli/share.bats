#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Readers and writers of one pool at the same time.

bats_require_minimum_version 1.5.0
load needs

setup() {
	need python3
	cd "$BATS_TEST_TMPDIR" || return 1
	truncate -s 2M meta
	truncate -s 64M data
	head -c 100000 /dev/urandom >base
	cat >table <<-EOT
	pool: 0 131072 thin-pool meta data 128 0
	t0: 0 32768 thin pool 0
	o: 0 32768 thin pool 1 base
	EOT
	thin_message table 'create_thin 0' 'create_thin 1' reserve_metadata_snap
	thin_dump meta >dump.xml
	cp meta spare
	HOLDER=
}

teardown() {
	let_go
}

# hold FILE LOCK: another program has FILE: ofd-write, ofd-read, posix-write, flock-write, flock-read,
# qemu-write (the locks of a qemu that writes), qemu-read.
hold() {
	rm -f ready
	python3 - "$1" "$2" 3>&- <<-'EOT' &
	import fcntl, struct, sys, time
	path, kind = sys.argv[1:]
	f = open(path, 'r+b')
	def ofd(type, start, length):
	    fcntl.fcntl(f, 37, struct.pack('hhqqi4x', type, 0, start, length, 0))
	if kind == 'ofd-write': ofd(fcntl.F_WRLCK, 0, 0)
	elif kind == 'ofd-read': ofd(fcntl.F_RDLCK, 0, 0)
	elif kind == 'posix-write': fcntl.lockf(f, fcntl.LOCK_EX)
	elif kind == 'flock-write': fcntl.flock(f, fcntl.LOCK_EX)
	elif kind == 'flock-read': fcntl.flock(f, fcntl.LOCK_SH)
	else:
	    for byte in [100, 201] + ([101, 103] if kind == 'qemu-write' else []): ofd(fcntl.F_RDLCK, byte, 1)
	open('ready', 'w').close()
	time.sleep(60)
	EOT
	HOLDER=$!
	for _ in $(seq 1200); do [ -e ready ] && return; sleep 0.05; done
	return 1
}

let_go() {
	[ -z "$HOLDER" ] || { kill "$HOLDER"; wait "$HOLDER" 2>/dev/null || true; }
	HOLDER=
}

# Every way to read the pool: a command line each; those of the first list read data and origin, too.
of_all='thin_materialize -f table o out
thin_materialize -f --repair table o out'
of_metadata='thin_check meta
thin_check table
thin_dump meta
thin_dump -r meta
thin_ls table
thin_rmap --region 0..5 meta
thin_delta --snap1 0 --snap2 1 table
thin_metadata_pack -f -i meta -o packed
thin_repair -i meta -o spare2
thin_repair --dry-run -i table
thin_materialize --map table o'
writers='thin_message table "create_thin 7"
thin_check --auto-repair meta
thin_check --clear-needs-check-flag meta
thin_restore -i dump.xml -o meta
thin_repair -i spare -o meta'

readers_are_refused() { # FILE LIST
	local command
	truncate -s 2M spare2
	while read -r command; do
		echo "$command"
		run -74 --separate-stderr bash -c "$command" </dev/null
		[[ "$stderr" == *"'"*"$1' is busy: it is being written by another program"* ]]
		[[ "$stderr" == *"-U (--force-share)"* ]]
		run -0 bash -c "${command/ / -U }" </dev/null
	done <<<"$2"
}

all_go() { # LIST
	local command
	truncate -s 2M spare2
	while read -r command; do
		echo "$command"
		run -0 bash -c "$command" </dev/null
	done <<<"$1"
}

@test "readers refuse metadata that another program writes, and -U reads them" {
	for kind in ofd-write posix-write flock-write qemu-write; do
		hold meta $kind
		readers_are_refused meta "$of_all"$'\n'"$of_metadata"
		let_go
	done
}

@test "thin_materialize refuses data and origin that another program writes; who reads metadata alone does not care" {
	for kind in ofd-write flock-write qemu-write; do
		for file in data base; do
			hold $file $kind
			readers_are_refused $file "$of_all"
			all_go "$of_metadata"
			let_go
		done
	done
	hold data ofd-write
	run -74 thin_materialize -f --data-dev data dump.xml 0 out
	run -0 thin_materialize -U -f --data-dev data dump.xml 0 out
}

@test "readers share with readers" {
	for kind in ofd-read flock-read qemu-read; do
		for file in meta data base; do
			hold $file $kind
			all_go "$of_all"$'\n'"$of_metadata"
			let_go
		done
	done
}

@test "a metadata snapshot is read while the pool is being written" {
	hold meta ofd-write
	for command in 'thin_check -q -m meta' 'thin_dump -m meta' 'thin_ls -m table' 'thin_rmap -m --region 0..5 meta' \
		'thin_delta -m --snap1 0 --snap2 1 table' 'thin_materialize -f -m table o out'; do
		echo "$command"
		run -0 bash -c "$command"
	done
}

@test "a writer that finds a reader or a writer gives up, says so, and changes nothing" {
	cp meta before
	for kind in ofd-read flock-read qemu-read ofd-write flock-write; do
		hold meta $kind
		word=read
		[[ $kind == *write ]] && word=written
		while read -r command; do
			echo "$command, $kind"
			run -74 --separate-stderr bash -c "$command" </dev/null
			[[ "$stderr" == *"busy: it is being $word by another program"* ]]
		done <<<"$writers"
		let_go
	done
	cmp before meta
	hold data ofd-read
	run -74 --separate-stderr thin_trim --metadata-dev table
	[[ "$stderr" == *"'"*"data' is busy: it is being read"* ]]
	run -74 thin_shrink -i dump.xml -o new.xml --data data --nr-blocks 5
	run -0 thin_message table 'create_thin 7'
	all_go "$of_all"$'\n'"$of_metadata"
}

@test "two of our own readers at once share, and keep a writer away until they have ended" {
	mkfifo pipe
	thin_materialize table o - >pipe &
	exec 9<pipe
	head -c 10 <&9 >/dev/null
	all_go "$of_all"$'\n'"$of_metadata"
	run -74 thin_message table 'create_thin 7'
	cat <&9 >/dev/null
	wait
	run -0 thin_message table 'create_thin 7'
}

@test "nothing is fixed by force" {
	run -64 thin_check -U --auto-repair meta
	run -64 thin_check -U --clear-needs-check-flag meta
}

@test "nbdkit-thin: a pool served for writing keeps readers away, read-only servers among them" {
	need_daemon
	nbdkit -P pid -U sock "$PLUGIN" pool=table
	HOLDER=$(cat pid)
	readers_are_refused meta "$of_metadata"$'\n'"$of_all"
	run nbd "$PLUGIN" pool=table readonly=true --run true
	[[ "$status" -ne 0 && "$output" == *"is being written by another program"*"force-share=true"* ]]
	run -0 nbd "$PLUGIN" pool=table readonly=true force-share=true --run true
	run nbd "$PLUGIN" pool=table force-share=true --run true
	[[ "$status" -ne 0 && "$output" == *readonly=true* ]]
}

@test "nbdkit-thin: read-only servers share with readers and keep writers away" {
	need_daemon
	nbdkit -P pid -U sock "$PLUGIN" pool=table readonly=true
	HOLDER=$(cat pid)
	all_go "$of_metadata"$'\n'"$of_all"
	run -0 nbd "$PLUGIN" pool=table readonly=true --run true
	run -74 thin_message table 'create_thin 7'
	run nbd "$PLUGIN" pool=table --run true
	[[ "$status" -ne 0 && "$output" == *"is being read by another program"* ]]
}

@test "a virtual machine that reads a base image may start beside a reader, one that writes may not" {
	need qemu-io
	mkfifo pipe
	thin_materialize table o - >pipe &
	exec 9<pipe
	head -c 10 <&9 >/dev/null
	run -0 qemu-io -r -f raw base -c 'read 0 512'
	run -1 qemu-io -f raw base -c 'read 0 512'
	cat <&9 >/dev/null
	wait
	run -0 qemu-io -f raw base -c 'read 0 512'
}
