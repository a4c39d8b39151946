#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The house (doc/design.md): includes and calls go downward only, between storeys and between
# rooms, no two files call each other in a loop, and what a room keeps private stays private.
cd "${srcdir:-.}" || exit 99
objects=${LAYERS_BUILD:-$OLDPWD}
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
n=0
# result SENTENCE: what is in $tmp/bad is printed, and makes it fail
result() {
	n=$((n + 1))
	if [ -s "$tmp/bad" ]; then
		sed 's/^/# /' "$tmp/bad"
		echo "not ok $n - $1"
	else
		echo "ok $n - $1"
	fi
	: >"$tmp/bad"
}

# Room, level, public headers.  A room uses rooms of lower levels only, not its neighbours.
# Rooms inside another one that lie below it are its own: others see only what its line names of them.
# The storeys without rooms have only public headers (*).
cat >"$tmp/rooms" <<'ROOMS'
base 10 *
base/sum 11 *
base/text 11 *
cli 12 *
dev 20 *
pdata/block 30 bcache.h csum.h format.h node.h node_edit.h refmap.h writer.h
pdata/tree 31 build.h cursor.h edit.h space.h tm.h walk.h
pdata/map 32 edit.h read.h transaction.h write.h
pool/format 40 format.h leaf_runs.h metadata.h pool_info.h superblock.h
pool/edit 41 edit.h message.h
pool/events 41 events.h events_apart.h
pool/finding 41 finding.h
pool/forest 41 forest.h owners.h suspects.h sharing.h
pool/pack 41 pack.h
pool/build 42 build.h size.h
pool/check 42 check.h fix.h
pool/query 42 delta.h delta_print.h info.h list.h page.h space_use.h tree.h usage.h
pool/rmap 42 rmap.h
pool/emit 41.1 emit.h source.h
pool/salvage/graph 41.1 graph.h node.h
pool/salvage/super 41.2 options.h super.h
pool/salvage/trees 41.3 trees.h
pool/salvage/witness 41.4 ages.h counts.h datamap.h
pool/salvage/state 41.5 state.h
pool/salvage/assign 41.5 gaps.h
pool/salvage/values 41.5 values.h
pool/salvage/tell 41.6 tell.h
pool/salvage 42 graph/node.h salvage.h state.h
pool/text 42 text.h
pool/report 43 report.h
pool/restore 43 restore.h
pool/space 43 shrink.h trim.h
volume/compress 50 compress.h
volume/guard 50 content.h head.h meta_out.h occupied.h
volume/lvm 50 backup.h check.h list.h lvm.h pv.h vg.h conf.h part.h
volume/map 50 holes.h map.h plan.h print.h source.h
volume/copy 51 copy.h output.h
volume/live 50 live.h
volume/table 51 list.h table.h
volume/open 52 activate.h lvm_look.h origin.h pool_arg.h pool_events.h pool_live.h pool_lvm.h pool_salvage.h pool_source.h pool_want.h thin_io.h volume.h
volume/image 53 backing.h diff.h digest.h export.h feed.h image.h make.h qcow2.h rbd.h since.h update.h
volume/target 53 target.h
volume/apply 54 apply.h place.h
ROOMS

# --- sizes: of what a reader takes in at once ---
find lib bin nbdkit fuzz bench tests -type f \( -name '*.[ch]' -o -name '*.ba[ts]*' -o -name '*.sh' -o -name '*.py' -o -name '*.awk' -o -name '*.mjs' \
	-o -path bench/run \) -exec awk 'FNR == 501 { print FILENAME ": more than 500 lines" }' {} + >"$tmp/bad"
result "no file has more than 500 lines"
find lib bin nbdkit fuzz bench tests -name '*.c' -exec awk '
	FNR == 1 || !inside && /^$/ { begin = 0 }
	!inside && !begin && /^[A-Za-z_].*[^;]$/ { begin = FNR }
	/^{/ { inside = 1 }
	/^}/ {
		if (inside && begin && FNR - begin >= 60)
			print FILENAME ":" begin ": a function of " FNR - begin + 1 " lines"
		inside = begin = 0
	}' {} + >"$tmp/bad"
result "no function has more than 60 lines"

# --- names of files in comments ---
find lib bin nbdkit tests fuzz bench -name '*.c' | sed 's,.*/,,' | sort -u >"$tmp/names"
grep -rHnoE --include='*.[ch]' '(^|[^-./A-Za-z_0-9])[a-z_0-9]+\.c\b' lib bin nbdkit |
	awk -F: 'FNR == NR { is[$0]; next } { name = $3; sub(/^[^a-z_0-9]/, "", name) }
		!(name in is) { print $1 ":" $2 ": there is no file " name }' "$tmp/names" - >"$tmp/bad"
result "a comment names only files that exist"

# --- names in the documents ---
find lib bin nbdkit -name '*.[ch]' -exec cat {} + | sed 's,/\*.*\*/,,' | grep -vE '^[[:space:]]*/?\*' |
	grep -oE '[A-Za-z_][A-Za-z_0-9]*' | sort -u >"$tmp/words"
find . -path ./.git -prune -o -type f -print | sed 's,^\./,,' >"$tmp/files"
{ grep -HnoE '`[a-z_0-9]+\(\)`' doc/design.md | tr -d '`()'; } |
	awk -F: 'FNR == NR { is[$0]; next } !($3 in is) { print $1 ":" $2 ": there is no function " $3 }' "$tmp/words" - >"$tmp/bad"
grep -HnoE '`[a-z_0-9/]+\.[ch]`' doc/design.md | tr -d '`' |
	awk -F: 'FNR == NR { n = split($0, part, "/"); for (i = n; i > 0; i--) { end = i == n ? part[n] : part[i] "/" end; is[end] }; next }
		!($3 in is) { print $1 ":" $2 ": there is no file " $3 }' "$tmp/files" - >>"$tmp/bad"
result "doc/design.md names only functions and files that exist"

# --- includes ---
# However they are spelled: "pool/x.h", <pool/x.h>, # include.
grep -rHn --include='*.[ch]' -E '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<]' lib bin nbdkit |
	sed -nE -e 's/^([^:]*):([0-9]*):[^"<]*"([^"]*)".*/\1 \2 \3/p' \
		-e 's/^([^:]*):([0-9]*):[^"<]*<((base|cli|dev|pdata|pool|volume|bin|nbdkit|tests|lib)\/[^>]*)>.*/\1 \2 \3/p' >"$tmp/includes"
rooms_awk='
	function room_of(path) { sub(/^lib\//, "", path); sub(/\/[^\/]*$/, "", path); return path }
	function allowed(from, to) {
		if (from == to || !(from in level))
			return 1
		return to in level && level[to] < level[from] && (to != "cli") && (from != "cli" || to ~ /^base/)
	}
	# The room whose own part the room is, or "".
	function owner(room,  up) { up = room; sub(/\/[^\/]*$/, "", up); return up != room && up in level && level[up] > level[room] ? up : "" }
	FNR == NR { level[$1] = $2; for (i = 3; i <= NF; i++) { public[$1 "/" $i] = 1; shown[$1, $1 "/" $i] = 1 } next }'
awk "$rooms_awk"' $3 != "config.h" && $3 ~ /\// && !allowed(room_of($1), room_of($3)) { print $1 ":" $2 ": includes " $3 }
	$3 !~ /\// && $3 != "config.h" { print $1 ":" $2 ": includes " $3 ", a name without its room" }' "$tmp/rooms" "$tmp/includes" >"$tmp/bad"
result "each file includes only what lies below its room"
awk "$rooms_awk"' { r = room_of($3) } r != room_of($1) && (r in level) && !((r "/*") in public) && !($3 in public) {
	print $1 ":" $2 ": " $3 " is private to lib/" r }' "$tmp/rooms" "$tmp/includes" >"$tmp/bad"
awk "$rooms_awk"' { r = room_of($1); own = owner(room_of($3)) } own != "" && r != own && owner(r) != own && !((own, $3) in shown) {
	print $1 ":" $2 ": " $3 " is the own part of lib/" own }' "$tmp/rooms" "$tmp/includes" >>"$tmp/bad"
result "no file includes a private header of another room"
awk "$rooms_awk"' { r = room_of($1); from = $1; sub(/^lib\//, "", from) }
	(from in public) && room_of($3) == r && !((r "/*") in public) && !($3 in public) {
	print $1 ":" $2 ": " $3 " is private, and who includes this header gets it, too" }' "$tmp/rooms" "$tmp/includes" >"$tmp/bad"
result "no public header includes a private one"
find lib -name '*.[ch]' | awk "$rooms_awk"' !(room_of($1) in level) { print $1 " is in no room of the table" }' "$tmp/rooms" - >"$tmp/bad"
result "every file of the library is in a room"
find . -name .git -prune -o -name module.am -exec grep -ohE '[A-Za-z_0-9/]+\.[ch]\b' {} + | sort -u >"$tmp/listed"
{ find lib bin nbdkit -name '*.[ch]'; find tests fuzz bench -name '*.h'; } | sort | comm -23 - "$tmp/listed" |
	sed 's/$/ is in no module.am: archives lack it/' >"$tmp/bad"
result "every file of the library, and every header, is listed in a module.am"
awk '$1 ~ /^(bin|nbdkit)\// && $3 ~ /^(bin|tests)\// || $1 !~ /^nbdkit\// && $3 ~ /^nbdkit\//  { print $1 ":" $2 ": includes " $3 }
	$3 ~ /^tests\// { print $1 ":" $2 ": includes " $3 }' "$tmp/includes" >"$tmp/bad"
result "no command includes another one, and nothing includes tests"

# --- calls, as the compiler left them in the objects ---
find lib -name '*.c' | sort | sed 's/c$/o/' >"$tmp/objects" # not what an older tree left behind
(cd "$objects" && xargs nm -A --defined-only -g <"$tmp/objects") 2>/dev/null |
	sed -n 's/^\(lib[^:]*\)\.o:[^ ]* [A-Z] \(.*\)$/\1 \2/p' >"$tmp/defined"
(cd "$objects" && xargs nm -A -u <"$tmp/objects") 2>/dev/null |
	sed -n 's/^\(lib[^:]*\)\.o:  *U \(.*\)$/\1 \2/p' >"$tmp/used"
[ -s "$tmp/defined" ] || echo "no objects under $objects/lib: build first" >"$tmp/bad"
result "the objects can be read"
awk 'FNR == NR { where[$2] = $1; next } ($2 in where) && where[$2] != $1 { print $1, where[$2], $2 }' "$tmp/defined" "$tmp/used" >"$tmp/calls"
awk "$rooms_awk"' !allowed(room_of($1), room_of($2)) { print $1 ".c uses " $3 " of " $2 ".c, which is not below it" }' "$tmp/rooms" "$tmp/calls" >"$tmp/bad"
result "each file calls only what lies below its room"
cut -d' ' -f1,2 "$tmp/calls" | sort -u | tsort 2>&1 >/dev/null | sed 's/^tsort: //' >"$tmp/bad"
result "no files call each other in a loop"

# A room's functions are called through its public headers: one of them names each.
find lib -name '*.h' | awk '
	function name_words(room, file,  line, words, n, i) {
		while ((getline line <file) > 0) {
			n = split(line, words, /[^A-Za-z0-9_]+/)
			for (i = 1; i <= n; i++)
				if (!seen[room, words[i]]++)
					print room, words[i]
		}
		close(file)
	}
	FNR == NR { rooms[$1] = $3; for (i = 3; i <= NF; i++) if ($i != "*") name_words($1, "lib/" $1 "/" $i); next }
	{ for (room in rooms) if (rooms[room] == "*" && index($0, "lib/" room "/") == 1) name_words(room, $0) }' "$tmp/rooms" - >"$tmp/named"
(cd "$objects" && find bin nbdkit -name '*.o' -exec nm -A -u {} +) 2>/dev/null |
	sed -n 's/^\([^:]*\)\.o:  *U \(.*\)$/\1 \2/p' | sort -u >"$tmp/above"
cat "$tmp/used" "$tmp/above" | awk "$rooms_awk"' FILENAME == ARGV[2] { named[$1 " " $2] = 1; next }
	FILENAME == ARGV[3] { where[$2] = room_of($1); next }
	($2 in where) && where[$2] != room_of($1) && !((where[$2] " " $2) in named) { print $1 ".c uses " $2 ", which no public header of lib/" where[$2] " names" }' \
	"$tmp/rooms" "$tmp/named" "$tmp/defined" - >"$tmp/bad"
result "each function of another room is named in a public header of that room"

# --- what only one room may do: by the source, and by the objects, where macros and other names do not hide it ---
# only SYMBOLS ROOM SENTENCE: the functions and variables that only ROOM may use
only() {
	grep -rHnE --include='*.[ch]' "\\b($1)\\(" lib bin nbdkit | grep -vE "^lib/($2)|^[^:]*:[0-9]*:[[:space:]]*/?\\*" >"$tmp/bad"
	cat "$tmp/used" "$tmp/above" | grep -E " ($1)(64)?(@.*)?\$" | grep -vE "^lib/($2)" | sed 's/ /.c uses /' >>"$tmp/bad"
	result "$3"
}
only 'pthread_create|thrd_create|fork|vfork|clone3?' 'base/jobs' "only jobs makes threads"
only 'open|openat2?|creat|fopen|freopen|mko?stemps?|mkdtemp|tmpfile|opendir|shm_open' 'dev/' "only lib/dev opens files"
print='f?v?printf|v?dprintf|__f?v?printf_chk|f?puts|puts_unlocked|f?putc|putchar(_unlocked)?|fwrite|perror|psignal|exit|_exit|_Exit|quick_exit|abort|system|syslog'
grep -rHnE --include='*.[ch]' "\\b($print)\\(|\\bwrite\\((1|2|STDOUT_FILENO|STDERR_FILENO)," lib | grep -vE '^lib/cli/|^[^:]*:[0-9]*:[[:space:]]*/?\*' >"$tmp/bad"
grep -E " ($print|stdout|stderr|err|errx|warn|warnx)(@.*)?\$" "$tmp/used" | grep -v '^lib/cli/' | sed 's/ /.c uses /' >>"$tmp/bad"
result "libraries never print and never exit"
echo "1..$n"
