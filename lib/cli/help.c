/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Prints the option tables: for people, and for completion. */
#include <string.h>

#include "cli/options.h"

#define HELP_COLUMN 30
#define HELP_WIDTH  79

/* Prints @text wrapped, its lines at column @indent.  The cursor stands at @column. */
static void print_wrapped(const char *text, int column, int indent)
{
	printf("%*s", indent - column, "");
	column = indent;
	while (*text) {
		int n = (int)strcspn(text, " \n");

		if (column > indent && column + 1 + n > HELP_WIDTH) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', stdout);
			column++;
		}
		printf("%.*s", n, text);
		column += n;
		text += n;
		text += *text != 0;
	}
	fputc('\n', stdout);
}

static void print_option(const struct opt *o)
{
	char head[120], letter[6] = "    ";
	const char *before = o->arg == ARG_OPTIONAL ? "[=" : " ";
	int n;

	if (!o->help)
		return;
	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	n = snprintf(head, sizeof(head), "  %s--%s%s%s%s", letter, o->name,
		     o->arg == ARG_NONE ? "" : before, o->arg == ARG_NONE ? "" : o->value,
		     o->arg == ARG_OPTIONAL ? "]" : "");
	fputs(head, stdout);
	if (n > HELP_COLUMN - 2) {
		fputc('\n', stdout);
		n = 0;
	}
	print_wrapped(o->help, n, HELP_COLUMN);
}

/* The line at @text, or the whole paragraph when it starts at the margin; both end at "\n". */
static size_t note_length(const char *text)
{
	size_t n = strcspn(text, "\n");

	while (*text != ' ' && n && text[n] && text[n + 1] != ' ' && text[n + 1] != '\n')
		n += 1 + strcspn(text + n + 1, "\n");
	return n;
}

/* Paragraphs are wrapped; indented lines are tables and stay as they are. */
static void print_notes(const char *text)
{
	while (*text) {
		size_t n = note_length(text);
		char part[1200];

		snprintf(part, sizeof(part), "%.*s", (int)n, text);
		if (*part == ' ' || !*part) {
			printf("%.*s\n", (int)n, text);
		} else {
			print_wrapped(part, 0, 0);
		}
		text += n;
		text += *text != 0;
	}
}

void help_print(const struct command *cmd)
{
	const struct opt *table[OPT_TABLES];
	size_t nr = opt_tables(cmd, table);
	int n;

	n = printf("Usage: %s", cmd->name);

	print_wrapped(cmd->usage, n, n + 1);
	fputc('\n', stdout);
	print_wrapped(cmd->summary, 0, 0);
	fputs("\nOptions:\n", stdout);
	for (size_t t = 0; t < nr; t++)
		for (const struct opt *o = table[t]; o->name; o++)
			print_option(o);
	if (cmd->notes) {
		fputc('\n', stdout);
		print_notes(cmd->notes);
	}
	printf("\nSee %s(8) for more.\n", cmd->name);
}

/* Has help the option by another name? */
static bool is_alias(const struct opt *const *table, size_t nr, const struct opt *alias)
{
	for (size_t t = 0; t < nr; t++)
		for (const struct opt *o = table[t]; o->name; o++)
			if (o->help && o->id == alias->id)
				return true;
	return false;
}

void help_list(const struct command *cmd)
{
	static const char *const args[] = { "none", "required", "optional" };
	const struct opt *table[OPT_TABLES];
	size_t nr = opt_tables(cmd, table);

	printf("usage\t%s\n", cmd->usage);
	for (size_t t = 0; t < nr; t++) {
		for (const struct opt *o = table[t]; o->name; o++) {
			if (!o->help && !is_alias(table, nr, o))
				continue;
			printf("--%s\t-%.1s\t%s\t%s\t%s\n", o->name, &o->letter, args[o->arg],
			       o->value ? o->value : "-", o->help ? o->help : "");
		}
	}
}
