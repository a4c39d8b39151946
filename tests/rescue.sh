#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# Random damages of the kernel's own pools, rescued and compared with the truth (tests/rescue).
#
#	tests/rescue.sh [SEED TRIALS]
#
# Without arguments: those of "make check", in which every trial must be perfect.  LONG=1: 4000.
set -u
: "${srcdir:=$(dirname "$0")/..}" "${abs_top_builddir:=.}"
. "$srcdir/tests/kernel_pools.sh"
[ $# -eq 2 ] || [ -z "${LONG:-}" ] || set -- 1 4000
if [ $# -eq 2 ]; then
	set -- -l -s "$1" -n "$2"
	sentence="random damages: at least 99.9 % of the intact mappings are back"
else
	set -- -s 4 -n 204
	sentence="random damages: every intact mapping is back, none is invented, the exit status is right"
fi
rescue=$abs_top_builddir/tests/rescue/rescue
echo 1..223
if "$rescue" "$@" "$work"/*/meta.img >"$work/out"; then
	echo "ok 1 - $sentence"
else
	echo "not ok 1 - $sentence"
fi
sed 's/^#* *//; s/^/# /' "$work/out"

# Single trials among 20000: SEED TRIAL WHAT, and what is lost.  Where nothing is left to decide by, the
# status must say so (WHAT: claim); else every intact mapping must be back (all).
n=1
while read -r seed trial what sentence; do
	n=$((n + 1))
	claim=
	[ "$what" = all ] || claim=-c
	if "$rescue" $claim -s "$seed" -n 20000 -t "$trial" "$work"/*/meta.img >"$work/out"; then
		echo "ok $n - $sentence"
	else
		echo "not ok $n - $sentence"
		sed 's/^#* *//; s/^/# /' "$work/out"
	fi
done <<EOF
202 9274 claim a device that got an older top level's empty tree is not called whole
201 19756 claim an older state is not called whole when a newer one may be lost with the superblock
201 12564 claim a leaf that may have been the lost metadata snapshot's does not make a device whole
202 4166 claim nor does a root that may have been
401 7232 all of a snapshot and its origin the younger gets what was written since, by its details
401 17273 all and of a snapshot of a snapshot too
EOF

# Single trials of harsh: SEED FRESH TRIAL BACK DOUBT, of which none may lie, BACK per mille must be back, and
# only with DOUBT 1 may it be doubted that all is.  +FRESH: without the kernel's pools; TMANY: with large trees instead;
# xFRESH: without the kernel's pools, and by the other kinds of damage (-x); yFRESH: by those of devices below (-y); zFRESH: of programs (-z); HMANY: with
# as many pools of many devices; AMANY: pools that were written anew (AyMANY: and -y); CMANY, CxMANY, CyMANY: whose last commit was not completed.
judge() { # OPTION...
	n=$((n + 1))
	pools="$work/*/meta.img"
	case $fresh in
	T*) pools="" fresh="0 -T ${fresh#T}" ;;
	+*) pools="" fresh=${fresh#+} ;;
	x*) pools="" fresh="${fresh#x} -x" ;;
	y*) pools="" fresh="${fresh#y} -y" ;;
	z*) pools="" fresh="${fresh#z} -z" ;;
	H*) pools="" fresh="${fresh#H} -H ${fresh#H}" ;;
	Ay*) pools="" fresh="0 -y -A ${fresh#Ay}" ;;
	A*) pools="" fresh="0 -A ${fresh#A}" ;;
	Cx*) pools="" fresh="0 -x -C ${fresh#Cx}" ;;
	Cy*) pools="" fresh="0 -y -C ${fresh#Cy}" ;;
	C*) pools="" fresh="0 -C ${fresh#C}" ;;
	esac
	# shellcheck disable=SC2086 # a pattern of files, and options
	if "$abs_top_builddir/tests/rescue/harsh" "$@" -s "$seed" -n 7000 -f $fresh -t "$trial" -v -L 0 -B "$back" \
		-D "$doubt" $pools >"$work/out"; then
		echo "ok $n - $sentence"
	else
		echo "not ok $n - $sentence"
		sed 's/^#* *//; s/^/# /' "$work/out"
	fi
}

# Commits of version 1.0.0, which wrote bitmaps behind the index block.
while read -r seed fresh trial back doubt sentence; do
	judge -I
done <<EOF
901 60 1646 0 1 without details and data map a tree that left nodes without a parent is not called whole
2102 120 3726 0 1 an older state is not called whole when a later commit's blocks lie behind it
901 60 1794 1000 1 a commit writes its bitmaps behind its index block too
2105 100 1039 0 1 an older bitmap behind the lost index block is not this state's: the superblock counts other blocks
901 60 1623 1000 1 an older bitmap of the data map, in its own place, denies nothing
3001 20 320 1000 0 a strange block of the metadata map is no doubt where the data map proves all trees
3001 20 67 1000 0 a node that is not of this state has no children that could have too many parents
3001 20 140 1000 0 details without a device say that a pool is empty, also when its top level is lost
5002 200 4944 1000 1 a root that an older copy of itself replaced gives its place to the nodes that lack a parent
5002 200 3357 1000 1 also when the older copy is a leaf
6101 200 988 0 1 a device that an older top level names and no details have is not called whole
7772 200 137 0 1 a device of an older top level that intact details do not have is not called whole
7772 200 2782 0 1 nor is an empty one
9104 200 5292 0 1 a device that no older top level knows may have had the root that one names for another
9102 +200 2636 0 1 a superblock whose metadata map has its own roots free is not of the same state as that map
9104 200 1648 0 1 nodes are older than the superblock where other details know of a later snapshot before its time
9101 +200 84 0 1 but nothing can be said against an image that is itself a healthy pool
9502 +200 2820 0 1 whichever of its trees of large counts comes first
6237971 +200 1104 1000 0 what has three parents or more may lack one, when the tree of large counts is lost with its parent
14409293 +200 2760 1000 0 two devices whose common root is lost get its children both
14050687 +200 367 1000 0 an older copy of the top level is denied before its trees are compared with those in use
5003 200 599 0 1 a state whose commit wrote a bitmap behind its index block may be the newest
8105 +120 1409 1000 0 nodes whose keys adjoin each other stay together
8105 +120 765 1000 0 and then the numbers prove where they belong
8102 +100 162 1000 1 a state of which a root was reused is not the newest
8103 +200 461 1000 1 a node with many parents is no remains of another pool
8102 +100 1655 1000 0 a node that was written over by another has its children nowhere else
8101 +100 1609 1000 0 also when it is the root of two devices
8102 +100 1817 1000 1 a state with few of the blocks in use does not tell which are free
8103 +200 2244 0 1 a tree that no top level names is missing when the superblock is newer than the details
8301 200 3902 0 1 a metadata map with one block less than the superblock says is of another state
8303 200 544 0 1 so is a superblock whose space maps are parts of its own trees
8105 +120 1882 1000 1 a chain follows its surest node where leaves are lost too
9301 200 3458 0 1 a lost root's child may have been the metadata snapshot's
9602 +200 1402 1000 1 what a refused content of a block points to still lacks its parent
5 T6 92 0 1 of nodes that have three parents or more either may have been in a lost node, too
9602 +200 1149 1000 1 an older copy of the top level names no tree of a device whose own tree lacks a parent
50001 A200 25 1000 0 of two roots with the same mappings either may be either device's
50001 A200 622 1000 0 fewer blocks were lost than a later commit would have written
50001 A200 2323 1000 0 lost blocks without a parent are the roots of space maps that were not found, and bitmaps
50001 A200 466 1000 0 in metadata that were written anew a leaf is in front of its device's root
50001 A200 1248 1000 0 the numbers are asked again when all that is sure has its place
50001 A200 2852 800 1 without any complete state the newest details tell what devices there were
50001 A200 44 1000 0 the older states behind metadata that were written anew are older
50001 A200 277 1000 0 and their blocks are no later commit's
50004 A200 783 1000 0 nor are their roots
50001 A200 1932 1000 1 but those of a state whose counts are lost may be newer
10293 +200 1485 0 1 where the top level is whole a device that only the details have is not called back
9602 +200 2507 1000 1 where a part of the tree of large counts is lost, a count of three means three or more
9701 +200 2308 1000 0 the data map tells an older copy of the top level where the metadata map is lost
9803 +200 2634 1000 0 past the end of a cut device blocks are lost like others: two devices may have had one of them
9701 +200 3922 900 0 nodes that several trees share go where all of them have room
9804 +200 542 1000 0 two devices had one root when there are too few mappings for two
9603 +200 2599 1000 1 a device for which nothing is left has the tree of the one with as many mappings
9804 +200 2674 1000 1 what two devices share is older than the last snapshot of either
9603 +200 1353 920 0 a root whose lost children cannot have what the device lacks is another's
9905 +200 3486 0 1 two devices with as many mappings may have each other's roots
9911 +200 598 900 1 an id that was used again does not bring the older roots of its first device
9913 +200 3380 1000 0 a count of three is just three where the tree of large counts is whole
9914 +200 3573 1000 1 an older tree of an incomplete state does not hide that a complete one had the same root
9917 +200 0 999 1 a root that a device left for one that is lost may be another's
9915 +200 3208 1000 1 three parents or more do not prove that a node in use was also the child of a lost one
9603 +200 2919 0 1 a bitmap that no index names is not the state's when an older commit wrote it
20104 x200 1145 1000 0 and what it says of the blocks that lack a parent is not believed
9947 +200 2285 0 1 data blocks without a mapping were not leaked where a node in use lacks a parent
9956 +200 2584 1000 0 of two nodes that could only be one device's root the one that older trees name is
9957 +200 1241 0 1 an older top level does not say what was in use in a state that used its block again
3 T6 229 1000 1 a child whose keys are not for its parent to have says nothing of its siblings' height
3 T6 67 1000 1 of two children that speak for two heights the higher one is believed
9972 +200 146 990 1 a tree that was found and shares mappings later than the device's last snapshot is another device's
10018 +200 2359 0 1 also when only a part of it was found
10016 +200 3726 0 1 and when another device has the part
10001 +200 161 0 1 a state whose bitmap is zero at the end of what was written may be the newest
10003 +200 2711 0 1 the top level of one device is no mapping because an older pool used its block for one
10006 +200 3320 0 1 the data map does not tell that an older top level has a device too many, which shares its tree
10009 +200 635 0 1 a superblock whose time is before that of its devices is older than the nodes
10009 +200 3401 1000 1 the roots of the held metadata snapshot are not newer than the state that has it
10016 +200 337 0 1 a superblock whose index block is another block has the roots of an older state
9983 +200 2713 1000 0 a node that names nodes which do not fit there was written over if others lack it as a parent
9982 +200 1595 1000 0 of leaves that exclude each other the younger one is not the older copy of one that is lost
20001 x150 10 0 1 a bitmap of another state shows that writes were lost: data blocks without a mapping were not leaked
20001 x150 542 0 1 a superblock that does not fit the trees may be of a later state than the one that is found
20002 x150 3 0 1 also when the pool was activated between the two
20001 x150 881 0 1 a state with a spoilt node may be the newest, too
9983 +200 3141 1000 0 a node whose child was replaced is not the one that was
20001 x150 901 1000 0 data blocks that only the held metadata snapshot had are not missing
20004 x150 593 1000 0 also where the roots of the devices were found
9981 +200 2024 1000 1 a device that got too little has the tree of the one with as many mappings
9982 +200 169 1000 1 devices had one root when the data map misses no more than one tree
20005 x150 2811 1000 1 what is left of a lost node names its children
20021 x150 967 0 1 a lost root that was a leaf has no children that could be found
9981 +200 1160 950 1 a node that is like those of a device's origin is rather its than another's
9981 +200 2819 1000 1 an index block in the place of a lost parent is not of a later commit
10061 +200 107 0 1 trees with fewer blocks than the superblock counts are of another state if the index counts others, too
20043 x200 2201 0 1 trees with more blocks than the superblock counts are of another state
20042 x200 1070 0 1 a bitmap that no index names does not tell which lost blocks a newer state used
20045 x200 1109 0 1 details and top level may both be older: a device too many that shares its tree is denied by a whole metadata map
20046 x200 2893 0 1 a device without details and with a gap is not whole, though the data map misses nothing
20052 x200 682 0 1 trees have more blocks than the superblock counts also where the index is another block
20051 x200 2008 0 1 a state whose details were replaced may be the newest, too
20048 x200 856 0 1 a state that began at the front of the device may be the newest when its index is lost
20064 x200 3264 0 1 also when nothing else of it is lost
9803 +200 159 1000 0 what stands in the place of a space map's root has no children that could have too many parents
20063 x200 1057 1000 1 a top level whose block was used again does not deny a tree that the state's own one names
20075 x200 1893 0 1 a bitmap with one block less than its index says is an older one: only older programs wrote such indices
20113 x200 801 0 1 without bitmaps the trees must have as many blocks as the superblock says
20064 x200 3321 0 1 those of the held metadata snapshot among them
20066 x200 1652 0 1 a bitmap that no index names must have just as many
20114 x200 2054 0 1 an empty tree in use that no top level names shows that details and top level are older
20071 x200 1639 0 1 a superblock with a later time is not an older one because its blocks have been used again
10156 +200 567 0 1 an empty device may be lacking where details and metadata map are lost, and the blocks do not add up
30001 y200 3378 1000 1 a lost top level that was written to the root of a device that it names is found there
20116 x200 3692 0 1 the held metadata snapshot's details are counted once
20117 x200 1388 0 1 an older top level does not tell which of a device and its snapshot has the root that is left, when the other's is lost
20118 x200 1985 0 1 without details a leaf that is only likely to be the device's does not make it whole
20123 x200 1739 0 1 without both maps nothing proves trees when two blocks are not what the superblock names there
30010 y200 1724 0 1 a leaf of other trees is no device's root
10174 +200 3634 0 1 an older top level in the place of a lost one is not one block more
9912 +200 163 1000 0 a lost top level that the held metadata snapshot shares is no doubt: what is found is both's
10182 +200 3557 0 1 a metadata map that has the lost root of the superblock free is of another state
20143 x200 874 0 1 a device with fewer mappings than its details say has a wrong count only if the metadata map is whole, too
20145 x200 247 1000 0 what another tree refuses, too, is no parent: nodes that it names still lack theirs
20145 x200 2221 0 1 a state whose details do not fit its top level is not an older one by their time
20146 x200 1326 0 1 blocks add up with all nodes of a tree of large counts
20151 x200 2607 0 1 a device for which nothing is left may have the tree of either of two with as many mappings
20162 x200 1119 0 1 without details and metadata map nothing proves a top level when a block is not what the superblock names there
20131 x200 2686 1000 0 what was found is not the lost metadata snapshot's where all parents are known that are counted
20131 x200 991 1000 0 damage where a block is not used is put right
10211 +200 1924 0 1 a block that an index has for a bitmap and the superblock for a root is of two states
20179 x200 653 0 1 two leaves with as many mappings may be exchanged where the data map decides: it does not tell whose they are
20180 x200 1522 0 1 a device that shares mappings later than its last snapshot has an older content of its root
20182 x200 146 0 1 a wrong count is believed only if no mapping too many can hide behind a large count that is lost
20182 x200 2474 0 1 a snapshot without an older root may have kept its origin's tree, or the origin may have
41017 H200 289 1000 0 a device's root is no child of a lost node
41020 H200 2331 0 1 a block that is right without what it does not use may be an older one: a torn write
41021 H200 1372 0 1 without details and metadata map the number of blocks proves no state that lacks the last snapshot
10216 +200 1227 0 1 so it is where torn writes left no trace of it
20201 x200 2634 0 1 nor is one that lacks it while a node in use has no parent
20203 x200 3643 0 1 without both maps details and top level are older than a superblock with a later time if writes were lost
20209 x200 773 0 1 no data block was leaked if writes were lost
20221 x200 1312 0 1 nor if parts were found without both maps: one may be an older copy of a leaf with as many mappings
10239 +200 2116 0 1 a root that older top levels name for two devices may have stayed with either
10241 +200 1333 0 1 an older top level in the place of a newer one is no newer than the others
10243 +200 1020 0 1 an older root is a choice where the device's younger one went to another device, with the metadata map lost
10244 +200 2596 0 1 an older tree that is of no complete state denies no device a node
20231 x200 552 0 1 zeros at the end of the device were written if a node names one of them
20230 x200 458 0 1 what the superblock names as a part of a space map and is something else is a lost write, also where all trees are whole
20224 x200 3293 0 1 and so is what the index of a space map names
20248 x200 1340 0 1 more data blocks than the superblock counts are of another state, also where a bitmap is
20250 x200 458 0 1 a superblock with a later time and a tree in use that lacks a parent are of a later state
30075 y200 3429 0 1 and so they are with a block in use that is something else now
20250 x200 643 0 1 a leaf too small to be one of several is an older root, not a child of the lost one
20247 x200 2264 1000 1 a metadata map with another number of blocks in use than the superblock counts is no witness
20243 x200 1283 1000 1 nor is a data map with another number
20247 x200 241 1000 1 without both maps a tree of as many mappings as the details say takes the place of another
20246 x200 2936 1000 1 a root that is a leaf is an older copy if older details say more mappings than it has, and so many lack a parent
20236 x200 460 1000 0 what was found is not the lost metadata snapshot's where no node is left that would do there, and no lost one was
10274 +200 1792 1000 1 a metadata snapshot's copy of the superblock in its place, with a bad checksum, names no roots that are used
20272 x200 3160 840 1 a root that is a leaf is not the device's if its details say twice as many mappings, more than a leaf has
50015 A200 873 970 1 an older tree that did not have the node denies nothing when a later one, by its state, has it
10298 +200 3401 0 1 a state in a row at the front whose pool has others behind was not written over another pool's
50019 A200 230 878 1 behind metadata written anew a top level that keeps roots of theirs is a later commit's, also where an older state had the block
50016 A200 1 1000 0 an older state whose nodes do not lead to what it has in common with metadata written anew was overwritten
50017 A200 158 1000 0 so was one that names a part of them as something else, and was itself written anew
50017 A200 483 1000 0 and one of which a block is lost, too
50016 A200 1335 1000 1 a state that went on with metadata written anew is the newer one, though it has fewer mappings
30097 y200 2757 700 1 a newer state of which only the top level is something else was not overwritten by metadata written anew
50023 A200 1060 940 1 the blocks that older trees had tell nothing of metadata written anew since, their entries do
50027 A200 737 630 1 a state that shares no node with metadata written anew may be a later one of theirs
EOF

# Commits in the kernel's order.
while read -r seed fresh trial back doubt sentence; do
	judge
done <<EOF
10306 +200 1312 1000 0 a commit after an activation stands in front, and is newer than the states behind it
10306 +200 681 1000 1 so it is where the superblock is one of theirs
10306 +200 1036 0 1 of two states that take turns in front either may be the newer one
50031 A200 1358 1000 0 metadata that were written anew and used since have commits in front, too
50030 A200 987 1000 0 what follows on the newest of them is not taken for a newer one
55001 C200 254 1000 1 without a superblock nothing tells whether the newest state was committed
55001 C200 989 1000 1 nor does anything if a few blocks are lost besides
57001 Cy200 1425 0 1 nor does a block that the last state seems to have lost to a later one
52012 Ay200 3783 1000 0 metadata written anew are a state before, too, if the kernel has written since
41088 H200 1932 1000 0 without details both maps prove that a lost tree was empty
41088 H200 724 1000 0 so they do where other trees share nodes
52014 Ay200 1884 990 1 of the first commit since metadata were written anew some blocks may be lost
56005 Cx200 766 0 1 a whole data map does not tell that devices are missing which are empty or share all that they have
60001 z200 246 0 1 a device with more mappings than its details say, and one with fewer, may have got parts of each other's trees
30100 y200 2300 1000 0 zeros behind the end do not tell that no commit began in front
60014 z200 72 1000 0 the trees of two devices that were exchanged are each taken for the other's
60014 z200 78 1000 0 and so are the top level and the root of a device
60010 z200 684 1000 0 and the top level and a node further below
60010 z200 18 1000 0 and the top level and an empty tree
60010 z200 1290 1000 0 and the top level and the details of the metadata snapshot
60010 z200 1542 1000 0 and an empty tree and a leaf of another one
60014 z200 60 1000 0 and the superblock and a bitmap
60010 z200 1957 1000 0 a key of an internal node that is too large is put right
60010 z200 56 1000 0 and one that is too small
60010 z200 117 1000 0 where the ids of the details do not ascend, the tree that lacks details has those that lack a tree
60010 z200 31 1000 0 and it has those under an impossible id
60010 z200 531 0 1 an id that is wrong in one place is told, where either may be right
60010 z200 63 1000 0 a space map that names a node of the trees does not make them doubtful if all else agrees
60010 z200 13 1000 0 nor does a device with a later time than the pool
60010 z200 2864 1000 1 fewer data blocks in the superblock than are in use are not believed
60010 z200 700 0 1 a mapping with a later time than the pool makes it doubtful
60012 z200 466 0 1 an id that the top level has otherwise, which was denied, is told
60012 z200 2050 1000 0 entries that hold nothing are no devices
60017 z200 181 1000 0 a pointer of an internal node that leads to no block leads to the node that lacks a parent
60017 z200 1983 1000 0 and so does one of the top level, also to a tree that another device has, too
60017 z200 3813 1000 1 a wrong root in the superblock is found, and it is told that its state is not certain
20326 x200 416 0 1 a new device of which all leaves are others', too, may have an older content where writes, details and the metadata map are lost
EOF

# Whole kinds of damage.  harsher SENTENCE BACK SHORT LONG [ARG...]: harsh with the options SHORT, or LONG.  LIES: trials of
# exit status 0 whose mappings are not the pool's; BACK: per mille of the intact mappings.
harsher() {
	sentence=$1 back=$2 trials=$3
	[ -z "${LONG:-}" ] || trials=$4
	shift 4
	n=$((n + 1))
	if "$abs_top_builddir/tests/rescue/harsh" -s "${SEED:-1}" $trials -L "${LIES:-0}" -B "${BACK:-$back}" "$@" >"$work/out"; then
		echo "ok $n - $sentence"
	else
		echo "not ok $n - $sentence"
	fi
}
table() { grep -v '^# trial' "$work/out" | sed 's/^#* *//; s/^/# /'; }

# Over these pools and over pools made for this run.
harsher "harsher damages: what is intact comes back, and the exit status does not lie" 920 \
	"-n 690 -f 20" "-n 10000 -f 200" "$work"/*/meta.img
table
# Other kinds: parts of the device that are as they were before, and two kinds at once.
harsher "so it is where writes were lost, or two things happened" 900 "-x -n 350 -f 30" "-x -n 5000 -f 200"
table
# And kinds of the devices below: arrays, copies that were not finished, headers, trimmed blocks.
harsher "so it is where disks fail" 850 "-y -n 360 -f 30" "-y -n 5000 -f 200"
table
# Contents of two blocks were exchanged, with the checksums and numbers that are right there.
harsher "and where contents were exchanged" 990 "-s 60002 -n 1100 -f 200 -z -k 0" "-s 60002 -n 4000 -f 200 -z -k 0"
table
# Leaves are as they stood there some commits before.
harsher "and what is wrong then is in a range that the report names" 990 "-s 71010 -n 300 -f 100 -w -U 0" "-s 71010 -n 4000 -f 200 -w -U 500"
table
# Over large trees, also of three levels.
harsher "and so it is with large trees" 900 "-n 230 -f 0 -T 4" "-n 4000 -f 0 -T 4"
# Over pools with many devices, most of which nobody writes to.
harsher "and with many snapshots" 900 "-n 460 -f 0 -H 40" "-n 4000 -f 0 -H 200"
sed 's/^#* *//; s/^/# /' "$work/out"
# And over pools that were written anew, some of them used since.
harsher "and with metadata that were written anew" 800 "-n 460 -f 0 -A 40" "-n 4000 -f 0 -A 200"
sed 's/^#* *//; s/^/# /' "$work/out"
# And where the last commit was not completed.
harsher "and where the last commit was not completed" 900 "-n 460 -f 0 -C 40" "-n 4000 -f 0 -C 200"
table
# And where commits are those of version 1.0.0.
harsher "and where bitmaps stand behind the index block" 920 "-I -n 460 -f 40" "-I -n 4000 -f 200"
table
