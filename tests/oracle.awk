# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The dumbest way to know what thin_ls, thin_rmap and thin_delta must say: block by block, from an
# XML dump without shared parts (thin_dump --no-shared).
#
#	awk -f oracle.awk -v mode=ls                          id mapped exclusive highest, a line each
#	awk -f oracle.awk -v mode=rmap -v regions='0..9 20..30'   as thin_rmap, not sorted: pipe through
#	                                                      sort -V
#	awk -f oracle.awk -v mode=delta -v left=1 -v right=2  kind and block, a line each
BEGIN {
	FS = "\""
	CONVFMT = OFMT = "%.0f" # some awks know large whole numbers only as fractions
	nr_regions = split(regions, r, " ")
	for (i = 1; i <= nr_regions; i++) {
		split(r[i], ends, "[.][.]")
		from[i] = ends[1] + 0
		to[i] = ends[2] + 0
	}
}

/<device / { dev = $2; devs[++nr_devs] = dev; mapped[dev] = 0 }
/<single_mapping / { map_block($2 + 0, $4 + 0) }
/<range_mapping / { for (i = 0; i < $6 + 0; i++) map_block($2 + i, $4 + i) }

function map_block(v, d) {
	keys[dev, mapped[dev]++] = v
	where[dev, v] = d
	if (!((d, dev) in has)) {
		has[d, dev] = 1
		owners[d]++
	}
}

function wanted(d,  i) {
	for (i = 1; i <= nr_regions; i++)
		if (d >= from[i] && d < to[i])
			return 1
	return 0
}

function ls(  n, k, alone) {
	for (n = 1; n <= nr_devs; n++) {
		dev = devs[n]
		alone = 0
		for (k = 0; k < mapped[dev]; k++)
			alone += owners[where[dev, keys[dev, k]]] == 1
		print dev, mapped[dev], alone, mapped[dev] ? keys[dev, mapped[dev] - 1] : 0
	}
}

function rmap(  n, k, v, d, len) {
	for (n = 1; n <= nr_devs; n++) {
		dev = devs[n]
		len = 0
		for (k = 0; k <= mapped[dev]; k++) {
			if (k < mapped[dev]) {
				v = keys[dev, k]
				d = where[dev, v]
				if (len && v == v0 + len && d == d0 + len && wanted(d)) {
					len++
					continue
				}
			}
			if (len)
				printf "data %.0f..%.0f -> thin(%d) %.0f..%.0f\n", d0, d0 + len, dev, v0, v0 + len
			len = k < mapped[dev] && wanted(d)
			v0 = v
			d0 = d
		}
	}
}

function delta(  k, v) {
	for (k = 0; k < mapped[left]; k++) {
		v = keys[left, k]
		if (!((right, v) in where))
			print "left_only", v
		else
			print where[left, v] == where[right, v] ? "same" : "different", v
	}
	for (k = 0; k < mapped[right]; k++)
		if (!((left, keys[right, k]) in where))
			print "right_only", keys[right, k]
}

END {
	if (mode == "ls")
		ls()
	else if (mode == "rmap")
		rmap()
	else
		delta()
}
