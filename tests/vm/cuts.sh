# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# shellcheck shell=sh
# Read by tests/vm/run: many power cuts from two starts of the machine.  The first plays a random story on a device that
# logs all writes and flushes; CUTS (20) states that a power cut may leave are made of that log (cut.py).
# Each is judged by us, and a copy of it repaired; the second start activates all, hashes, writes and hashes again.

# thins of pool NUMBER by our reckoning: "NUMBER NAME ID SECTORS ORIGIN SHA256"
cut_hashes() { # NUMBER NAME...
	number=$1
	shift
	for t in "$@"; do
		# shellcheck disable=SC2046 # ID SECTORS ORIGIN
		set -- $(awk -v t="$t" '$1 == t { print $2, $3, $4 }' thins)
		echo "$number $t $1 $2 ${3:--} $(thin_materialize "tables.$number" "$t" - 2>/dev/null | sha256sum | cut -d' ' -f1)"
	done
}

# The table of pool NUMBER, and what the machine is told of it; META and DATA are files.
cut_tables() { # NUMBER META DATA
	{
		echo "pool: $(echo "$pool_line" | sed "s|meta.img|$2|; s|data.img|$3|")"
		awk '{ print $1 ": 0", $3, "thin pool", $2, $4 }' thins
	} >"tables.$1"
}
cut_told() { # NUMBER
	echo "pool $1 $(echo "$pool_line" | sed 's|meta.img|/dev/mapper/cutmeta|; s|data.img|/dev/mapper/cutdata|')"
	for t in $(cut_names "$1"); do
		awk -v t="$t" '$1 == t { print "thin", $1, $3, $2, $4 }' thins
	done
}
# names of the story's devices that pool NUMBER has
cut_names() {
	thin_ls --no-headers -o DEV "tables.$1" | tr -d ' ' | while read -r id; do
		awk -v id="$id" '$2 == id { print $1; exit }' thins
	done
}

# Before the kernel sees them: ours, and the second opinion's.
cut_judge() {
	r=0
	PYTHONDONTWRITEBYTECODE=1 python3 "$srcdir/tests/oracle/fixtures.py" meta.[0-9]* >opinion 2>&1 || r=1
	for i in $(seq 0 $((nr - 1))); do
		thin_check -q meta.$i || { echo "# thin_check of meta.$i ends with $?" && r=1; }
	done
	sed 's/^/# /' opinion
	result $r "cuts-$seed: thin_check and the second opinion call each of them sound, and list the same"
}

# Pool NR + I is pool I repaired, where I is odd from a copy that has lost its superblock.
cut_repair() {
	r=0 lost=0
	for i in $(seq 0 $((nr - 1))); do
		j=$((nr + i))
		cp --sparse=always meta.$i bad && cp --sparse=always data.$i data.$j && truncate -s 4M meta.$j
		[ $((i % 2)) = 0 ] || "$build/tests/damage/damage" bad superblock-csum >/dev/null || exit 99
		thin_repair -q -i bad -o meta.$j >repair.$i 2>&1
		status=$?
		thin_check -q meta.$j || { echo "# what thin_repair makes of cut $i (status $status) is not sound" && r=1; }
		thin_dump meta.$i >a.xml && thin_dump meta.$j >b.xml
		cmp -s a.xml b.xml && [ $status = 0 ] || {
			lost=$((lost + 1))
			[ $((i % 2)) = 1 ] || { echo "# cut $i is sound, and thin_repair (status $status) makes another pool of it" && r=1; }
			[ $status != 0 ] || cmp -s a.xml b.xml || { echo "# cut $i without its superblock: another pool is called intact" && r=1; }
		}
	done
	echo "# $lost of $((nr / 2)) without their superblock did not come back as they were"
	result $r "cuts-$seed: what is sound comes back from thin_repair as it is, and what lost its superblock comes back sound"
}

# All in two disks.
cut_into_kernel() {
	: >ours && : >more.pools
	for i in $(seq 0 $((2 * nr - 1))); do
		cut_tables $i meta.$i data.$i
		# shellcheck disable=SC2046 # a list of names
		cut_hashes $i $(cut_names $i) >>ours
		cut_told $i >>more.pools
		dd if=meta.$i of=metas.img bs=4M seek=$i conv=notrunc,sparse status=none
		dd if=data.$i of=datas.img bs=64M seek=$i conv=notrunc,sparse iflag=fullblock status=none
		rm meta.$i data.$i
	done
	truncate -s $((2 * nr * 4))M metas.img && truncate -s $((2 * nr * 64))M datas.img
	mkdir -p more && cp "$here/cuts" more/ && mv more.pools more/pools
	echo 'script cuts use' >"$dir/cuts-$seed.again"
	was=$limit limit=$((limit * 3))
	boot "$dir/cuts-$seed.again" metas.img datas.img base.img
	limit=$was
	ended
	result $? "cuts-$seed: the kernel activates, writes and deactivates each of them, and each that was repaired"
	sed -n 's/^first //p' told | sort >theirs
	sort ours | diff - theirs | sed 's/^/# /' >differences
	cat differences
	[ -s theirs ] && [ ! -s differences ]
	result $? "cuts-$seed: each of $(wc -l <theirs) devices reads as thin_materialize wrote it"
}

# After the second start: what the devices hold, read through tables of these disks.
cut_after() {
	r=0
	sed -n 's/^last //p' told | sort >theirs
	: >ours
	for i in $(seq 0 $((2 * nr - 1))); do
		{
			echo "m: 0 8192 linear metas.img $((i * 8192))"
			echo "d: 0 131072 linear datas.img $((i * 131072))"
			echo "pool: $(echo "$pool_line" | sed 's|meta.img|m|; s|data.img|d|')"
			awk -v i=$i '$1 == i { print $2 ": 0", $4, "thin pool", $3 ($5 == "-" ? "" : " " $5) }' theirs
		} >tables.$i
		thin_check -q tables.$i || r=1
		awk -v i=$i '$1 == i { print $2, $3, $4, $5 }' theirs | while read -r t id sectors origin; do
			echo "$i $t $id $sectors $origin $(thin_materialize "tables.$i" "$t" - 2>/dev/null | sha256sum | cut -d' ' -f1)"
		done >>ours
	done
	result $r "cuts-$seed: thin_check calls each sound that the kernel has left, on a table's linear devices"
	sort ours | diff - theirs | sed 's/^/# /' >differences
	cat differences
	[ -s theirs ] && [ ! -s differences ]
	result $? "cuts-$seed: each of $(wc -l <theirs) devices that the kernel wrote reads as thin_materialize writes it"
}

vm_cuts() {
	command -v python3 >/dev/null || { echo "# python3 is not installed: no power cuts" && return; }
	seed=$1 nr=${CUTS:-20}
	enter cuts-$seed
	awk -v seed="$seed" -v ops=$((${STORY_OPS:-200})) -f "$here/story.awk" >plain.story
	{ echo "script cuts log" && cat plain.story && echo "script cuts end"; } >"$dir/cuts-$seed.story"
	size=$(sed -n 's/^# file base.img \([0-9]*\).*/\1/p' plain.story)
	seq -f "base of cuts-$seed, line %09.0f" 1 400000 | head -c $((size * 512)) >base.img
	truncate -s 68M pool.img && truncate -s 1G log.img
	mkdir -p more && cp "$here/cuts" more/
	boot "$dir/cuts-$seed.story" pool.img base.img log.img
	! grep -qx 'failed log-writes' told || { echo "# the kernel has no dm-log-writes: no power cuts" && return; }
	ended
	result $? "cuts-$seed: the kernel plays the story, and its writes are logged"
	python3 "$here/cut.py" log.img 4194304 "$seed" "$nr" >cuts.log 2>&1
	r=$?
	cat cuts.log
	result $r "cuts-$seed: $nr states that a power cut may leave are made"
	[ $r = 0 ] || return
	rm log.img pool.img
	pool_line=$(sed -n 's/^table pool //p' plain.story | tail -n 1)
	sed -n 's/^table \(t[0-9]*\) 0 \([0-9]*\) thin pool \([0-9]*\) *\(.*\)$/\1 \3 \2 \4/p' plain.story | sort -u >thins

	cut_judge
	cut_repair
	cut_into_kernel
	cut_after
	[ -n "${VM_KEEP:-}" ] || rm -f metas.img datas.img
}
