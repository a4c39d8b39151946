# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# A random story for the kernel (tests/fixtures/README.md):
#
#	awk -v seed=N -v ops=N [-v crash=1] [-v held=1] [-v words="FEATURE..."] -f story.awk
#
# Thin devices with and without an external origin, snapshots of snapshots, writes, discards and
# deletions.  crash: the machine is reset in the midst.  held: a metadata snapshot is taken; the
# devices of that moment are left alone from then on, since writes in place would change them.
function below(n) { return int(rand() * n) }
function pick(   k, n) {
	n = below(nr)
	for (k in ids) if (!n--) return k
}
function activate(id) {
	print "table t" id, 0, size, "thin pool", id (origin[id] ? " base.img" : "")
	ids[id] = 1
	nr++
}
function create(   id) {
	do id = below(9999); while (id in used)
	used[id] = 1
	origin[id] = below(2)
	print "message create_thin", id
	activate(id)
}
function snapshot(   id, from) {
	from = pick()
	do id = below(9999); while (id in used)
	used[id] = 1
	origin[id] = origin[from]
	print "suspend t" from
	print "message create_snap", id, from
	print "resume t" from
	activate(id)
}
function drop(id) {
	print "remove t" id
	delete ids[id]
	nr--
}
function io(   id, at, len, kind) {
	id = pick()
	if (id in frozen) return
	kind = below(10)
	if (kind < 3) {
		at = below(int(size / block)) * block
		len = block * (1 + below(3))
	} else {
		at = below(size - 1)
		len = 1 + below(kind < 4 ? 3 * block : 40)
	}
	if (at + len > size) len = size - at
	tag = seed "." ++count
	kind = below(12)
	if (kind < 8) print "w t" id, at, len, tag
	else if (kind < 9) print "0 t" id, at, len
	else if (kind < 11) print "d t" id, at, len
	else print "s t" id
}
BEGIN {
	srand(seed)
	block = crash || held || below(3) ? 128 : 128 * 2 ^ below(4)
	size = 6000 + below(6000)
	print "# file meta.img 8192 sectors, zero at the start"
	print "# file data.img 131072 sectors, zero at the start"
	print "# file base.img", size - below(1500), "sectors, filled at the start"
	features = held || below(2) ? " 1 no_discard_passdown" : ""
	if (!features && below(2)) features = " 1 skip_block_zeroing"
	if (words) features = " " split(words, word) " " words
	print "table pool 0 131072 thin-pool meta.img data.img", block, 0 features
	create()
	for (i = 0; i < ops; i++) {
		if (crash && i == int(ops / 2)) print "crash", crash
		if (held && i == int(ops / 2)) {
			print "message reserve_metadata_snap"
			for (k in ids) frozen[k] = 1
			create()
		}
		r = below(100)
		if (r < 2 && nr < 12) create()
		else if (r < 7 && nr < 12) snapshot()
		else if (r < 9 && nr > 2) {
			gone = pick()
			if (gone in frozen) continue
			drop(gone)
			print "message delete", gone
		} else if (r < 11) {
			print "message set_transaction_id", transaction + 0, transaction + 1
			transaction++
		} else io()
	}
}
