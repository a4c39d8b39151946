/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/edit/message.h"

#include <errno.h>

#include "pool/format/format.h"
#include "tap.h"

static struct err err;

static int parse(char *const *args, size_t nr_args, struct message **m, size_t *nr)
{
	err.text[0] = 0;
	return message_parse(args, nr_args, m, nr, &err);
}

static void refused(const char *text, const char *why)
{
	char copy[100], *args[] = { copy };
	struct message *m = NULL;
	size_t nr;

	snprintf(copy, sizeof(copy), "%s", text);
	check_eq(parse(args, 1, &m, &nr), -EINVAL);
	check(!m);
	if (!strstr(err.text, why))
		printf("# '%s': %s\n", text, err.text);
	check(strstr(err.text, why));
}

/* --- the words --- */

static void each_kind(void)
{
	static char words[][80] = {
		"create_thin",
		"1\tcreate_snap 2",
		" 1 delete 3",
		"\n",
		"set_transaction_id 18446744073709551615 7 reserve_metadata_snap",
		"release_metadata_snap create_thin 16777215",
	};
	static const struct {
		struct message m;
		const char *text;
	} want[] = {
		{ { MSG_CREATE_THIN, { 1, 0 } }, "create_thin 1" },
		{ { MSG_CREATE_SNAP, { 2, 1 } }, "create_snap 2 1" },
		{ { MSG_DELETE, { 3, 0 } }, "delete 3" },
		{ { MSG_SET_TRANSACTION_ID, { UINT64_MAX, 7 } },
		  "set_transaction_id 18446744073709551615 7" },
		{ { MSG_RESERVE_METADATA_SNAP, { 0, 0 } }, "reserve_metadata_snap" },
		{ { MSG_RELEASE_METADATA_SNAP, { 0, 0 } }, "release_metadata_snap" },
		{ { MSG_CREATE_THIN, { MAX_DEV_ID, 0 } }, "create_thin 16777215" },
	};
	char *args[ARRAY_SIZE(words)], text[80];
	struct message *m;
	size_t nr;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		args[i] = words[i];
	check_eq(parse(args, ARRAY_SIZE(args), &m, &nr), 0);
	check_eq(nr, ARRAY_SIZE(want));
	for (size_t i = 0; i < nr; i++) {
		check_eq(m[i].kind, want[i].m.kind);
		check_eq(m[i].arg[0], want[i].m.arg[0]);
		check_eq(m[i].arg[1], want[i].m.arg[1]);
		message_text(&m[i], text, sizeof(text));
		check_str(text, want[i].text);
	}
	free(m);
	check_eq(parse(NULL, 0, &m, &nr), 0);
	check_eq(nr, 0);
	free(m);
}

static void wrong_words(void)
{
	refused("create_thin", "incomplete: it must be 'create_thin ID'");
	refused("create_snap 1", "incomplete: it must be 'create_snap ID ORIGIN_ID'");
	refused("delete", "incomplete: it must be 'delete ID'");
	refused("set_transaction_id 1", "incomplete: it must be 'set_transaction_id OLD NEW'");
	refused("create_snap 1 16777216", "device ids go from 0 to 16777215, not '16777216'");
	refused("delete x", "message 'delete ID': ");
	refused("delete 1 2", "unknown message '2'");
	refused("reserve_metadata_snap 1", "unknown message '1'");
	refused("create", "unknown message 'create'");
}

static void short_text(void)
{
	const struct message m = { MSG_SET_TRANSACTION_ID, { 12, 34 } };
	char text[80];

	for (size_t len = 1; len < sizeof(text); len++) {
		memset(text, '#', sizeof(text));
		message_text(&m, text, len);
		check(strlen(text) < len && text[len] == '#');
		check(!strncmp(text, "set_transaction_id 12 34", strlen(text)));
	}
}

/* If the buffer were too small, by one byte or by two bytes an argument, malloc() or a sanitizer would see it. */
static void many_arguments(void)
{
	enum { NR = 200000, SPACES = 2040 - 22 };
	static char *args[NR];
	static char blank[SPACES + 1], word[] = "delete", id[] = "9",
				       reserve[] = "reserve_metadata_snap";
	struct message *m;
	size_t nr;

	for (size_t i = 0; i < NR; i += 2) {
		args[i] = word;
		args[i + 1] = id;
	}
	check_eq(parse(args, NR, &m, &nr), 0);
	check_eq(nr, NR / 2);
	for (size_t i = 0; i < nr; i++)
		check(m[i].kind == MSG_DELETE && m[i].arg[0] == 9);
	free(m);
	memset(blank, ' ', SPACES);
	args[0] = blank;
	args[1] = reserve;
	/* 2040 bytes and the terminating null byte: 2040 are what malloc() has for them */
	for (size_t len = SPACES - 40; len <= SPACES; len++) {
		blank[len] = 0;
		check_eq(parse(args, 2, &m, &nr), 0);
		check_eq(nr, 1);
		check_eq(m->kind, MSG_RESERVE_METADATA_SNAP);
		free(m);
		blank[len] = ' ';
	}
}

/* --- what they do --- */

static int apply(struct pool_edit *p, enum message_kind kind, uint64_t a, uint64_t b)
{
	const struct message m = { kind, { a, b } };

	err.text[0] = 0;
	return message_apply(p, &m, &err);
}

/* A pool with a held snapshot and devices that leave no metadata for one more. */
static struct pool_edit *full_pool(struct io *io, uint32_t *nr_devices)
{
	struct pool_edit *p;
	bool unsure;
	uint32_t id = 0;
	int r;

	check_eq(edit_format(io, 128, &p, &err), 0);
	check_eq(edit_grow_data(p, 100, &err), 0);
	check_eq(apply(p, MSG_CREATE_THIN, id++, 0), 0);
	check_eq(edit_commit(p, &unsure, &err), 0);
	check_eq(apply(p, MSG_RESERVE_METADATA_SNAP, 0, 0), 0);
	check_eq(edit_commit(p, &unsure, &err), 0);
	do {
		r = apply(p, MSG_CREATE_THIN, id, 0);
		id += !r;
		check(id < 1000);
		check_eq(edit_commit(p, &unsure, &err), 0);
	} while (!r);
	check_eq(-r, EXFULL);
	check(strstr(err.text, "out of metadata space"));
	*nr_devices = id;
	return p;
}

static void giving_back(void)
{
	struct io *io = io_mem_new("metadata", 120 * MBLOCK_SIZE);
	struct pool_edit *p;
	struct device_info d;
	uint32_t nr;
	bool unsure;

	check(io);
	p = full_pool(io, &nr);
	check(nr > 5);
	check_eq(-apply(p, MSG_CREATE_SNAP, nr, 0), EXFULL);
	check_eq(-apply(p, MSG_RESERVE_METADATA_SNAP, 0, 0), EXFULL);
	check(!edit_changed(p));
	check_eq(apply(p, MSG_SET_TRANSACTION_ID, 0, 5), 0);
	check_eq(apply(p, MSG_RELEASE_METADATA_SNAP, 0, 0), 0);
	check_eq(apply(p, MSG_DELETE, 0, 0), 0);
	check_eq(apply(p, MSG_DELETE, 1, 0), 0);
	check_eq(edit_commit(p, &unsure, &err), 0);
	check_eq(edit_superblock(p)->transaction_id, 5);
	check_eq(edit_superblock(p)->held_root, 0);
	check_eq(-edit_device(p, 1, &d, &err), ENOENT);
	check_eq(apply(p, MSG_CREATE_SNAP, nr, nr - 1), 0);
	edit_free(p);
	io_free(io);
}

static void taken_block(void)
{
	struct io *io = io_mem_new("metadata", 120 * MBLOCK_SIZE);
	struct pool_edit *p;
	dblock_t b;
	bool unsure;

	check(io);
	check_eq(edit_format(io, 128, &p, &err), 0);
	check_eq(edit_grow_data(p, 100, &err), 0);
	check_eq(edit_commit(p, &unsure, &err), 0);
	check(!edit_changed(p));
	check_eq(edit_alloc_data(p, &b, &err), 0);
	check(edit_changed(p));
	edit_free(p);
	io_free(io);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "messages may be one word or several in an argument, and print as they were",
		  each_kind },
		{ "a message that is incomplete, unknown or has a wrong id is named", wrong_words },
		{ "a message fits into what is given for its text", short_text },
		{ "the words of very many and of very long arguments are joined whole",
		  many_arguments },
		{ "with no metadata left messages that give it back are done, others refused",
		  giving_back },
		{ "a data block that was taken is a change to commit", taken_block },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
