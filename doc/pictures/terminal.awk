# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (C) 2026 The thin-pool-tools authors
# The console block of terminal.md as a picture of a terminal: awk -f terminal.awk terminal.md >terminal.svg
/^```console/ { on = 1; next }
/^```/ { on = 0 }
on {
	gsub(/&/, "\\&amp;")
	gsub(/</, "\\&lt;")
	gsub(/>/, "\\&gt;")
	lines[++n] = $0
	if (length($0) > wide) wide = length($0)
}
END {
	width = 40 + wide * 8.43
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"A terminal\">\n", width, 56 + n * 20, width, 56 + n * 20
	print "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1d2129\"/>"
	print "<g fill=\"#5b6373\"><circle cx=\"20\" cy=\"18\" r=\"6\"/><circle cx=\"40\" cy=\"18\" r=\"6\"/><circle cx=\"60\" cy=\"18\" r=\"6\"/></g>"
	print "<g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\" style=\"white-space:pre\">"
	for (i = 1; i <= n; i++)
		printf "<text x=\"20\" y=\"%d\" fill=\"%s\">%s</text>\n", 36 + i * 20, lines[i] ~ /^\$/ ? "#8fd694" : "#e6e8ec", lines[i]
	print "</g>\n</svg>"
}
