/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Command lines in messages, so that they can be copied into a shell. */
#include <string.h>

#include "base/text/shown.h"
#include "cli/cli.h"

#define PLACE " POOL"

/* " OPTION WORD" for a shell. */
static void put_word(const char *option, const char *word, FILE *to)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,@%+=-";

	for (fputs(option, to); *word; fputc(*word++, to))
		if (!strchr(plain, *word) && !(*word & 0x80))
			fputc('\\', to);
}

static bool has_control(const char *word)
{
	while (*word && !is_control(*word))
		word++;
	return *word;
}

/* Standard input cannot be read again, and control characters are neither shown nor quoted. */
static bool can_be_typed(const struct cli *c)
{
	if (!c->about || *c->about == '-' || has_control(c->about) || (c->pool && has_control(c->pool)))
		return false;
	for (size_t i = 0; i < c->lvm.nr_pvs; i++)
		if (has_control(c->lvm.pv[i]))
			return false;
	return true;
}

/* @reader: thin_ls or thin_check, without options: it reads what this command reads. */
static void put_pool(const struct cli *c, bool reader, FILE *to)
{
	put_word(" ", c->about, to);
	if (c->pool)
		put_word(" --pool ", c->pool, to);
	for (size_t i = 0; i < c->lvm.nr_pvs; i++)
		put_word(" --pv ", c->lvm.pv[i], to);
	if (c->lvm.has_seqno)
		fprintf(to, " --seqno %llu", (unsigned long long)c->lvm.seqno);
	if (reader && c->snap)
		fputs(c->lvm.take_snap ? " --take-metadata-snap" : " -m", to);
}

void cli_put_advice(const struct cli *c, const char *text, FILE *to)
{
	const char *p = can_be_typed(c) ? text : "";

	while ((p = strstr(p, "'thin_"))) {
		const char *end = p + 1 + strcspn(p + 1, "'"), *line = p;

		while ((p = strstr(p, PLACE)) && p < end) {
			fprintf(to, "%.*s", (int)(p - text), text);
			text = p;
			p += strlen(PLACE);
			if (*p == ' ' || *p == '\'') {
				/* names as short as these, right before POOL, are readers' */
				put_pool(c, p - line <= (int)strlen("'thin_check POOL"), to);
				text = p;
			}
		}
		p = end + (*end != 0);
	}
	fputs(text, to);
}
