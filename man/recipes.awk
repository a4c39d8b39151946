# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# doc/recipes.md as the page thin-pool-recipes(7): awk -v date=YYYY-MM-DD -f man/recipes.awk doc/recipes.md
function text(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	while (match(s, /`[^`]*`/))
		s = substr(s, 1, RSTART - 1) "\\fB" substr(s, RSTART + 1, RLENGTH - 2) "\\fR" substr(s, RSTART + RLENGTH)
	while (match(s, /\*[^*]*\*/))
		s = substr(s, 1, RSTART - 1) "\\fI" substr(s, RSTART + 1, RLENGTH - 2) "\\fR" substr(s, RSTART + RLENGTH)
	return s ~ /^[.']/ ? "\\&" s : s
}
# prose: each sentence begins a line
function prose(s) {
	s = text(s)
	gsub(/\. /, ".\n", s)
	print s
}
NR == 1 {
	print ".\\\" SPDX-License-Identifier: GPL-2.0-or-later"
	print ".\\\" Copyright (C) 2026 The thin-pool-tools authors"
	print ".\\\" Made by man/recipes.awk of doc/recipes.md: change that."
	print ".TH THIN\\-POOL\\-RECIPES 7 \"" date "\" \"thin-pool-tools\" \"Thin Pools\""
	print ".SH NAME\nthin\\-pool\\-recipes \\- what to do when something is wrong with a thin pool"
	print ".SH DESCRIPTION"
	fresh = 1
	next
}
/^```(console|sh)/ { print (fresh ? "" : ".PP\n") ".nf\n.RS 4"; code = 1; fresh = 0; next }
/^```$/ { print ".RE\n.fi"; code = 0; pp = 1; next }
code { gsub(/\\/, "\\e"); gsub(/-/, "\\-"); gsub(/^[.']/, "\\\\\\&&"); print; next }
/^## / { print ".SH " toupper(text(substr($0, 4))); pp = 0; fresh = 1; next }
/^\|--/ || /^\| LVM says/ { next }
/^\| / {
	split($0, c, / \| /)
	sub(/^\| /, "", c[1]); sub(/ \|$/, "", c[2])
	print ".TP\n" text(c[1]); print text(c[2])
	pp = 1
	fresh = 0
	next
}
/^$/ { if (!fresh) pp = 1; next }
{ if (pp) print ".PP"; pp = fresh = 0; prose($0) }
END {
	print ".SH SEE ALSO"
	print ".BR thin\\-pool\\-tools (7),\n.BR thin_check (8),\n.BR thin_materialize (8),\n.BR thin_repair (8),\n.BR lvmthin (7)"
}
