/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/edit/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text/parse.h"
#include "base/vec.h"

static const struct {
	const char *word;
	unsigned nr_args;
	bool takes_space;
	const char *form;
} forms[] = {
	[MSG_CREATE_THIN] = { "create_thin", 1, true, "create_thin ID" },
	[MSG_CREATE_SNAP] = { "create_snap", 2, true, "create_snap ID ORIGIN_ID" },
	[MSG_DELETE] = { "delete", 1, false, "delete ID" },
	[MSG_SET_TRANSACTION_ID] = { "set_transaction_id", 2, false, "set_transaction_id OLD NEW" },
	[MSG_RESERVE_METADATA_SNAP] = { "reserve_metadata_snap", 0, true, "reserve_metadata_snap" },
	[MSG_RELEASE_METADATA_SNAP] = { "release_metadata_snap", 0, false,
					"release_metadata_snap" },
};

struct words {
	char *text;
	char *rest;
};

static void words_fini(struct words *w)
{
	free(w->text);
}

static int words_init(struct words *w, char *const *args, size_t nr, struct err *err)
{
	size_t len = 1;

	for (size_t i = 0; i < nr; i++)
		len += strlen(args[i]) + 1;
	w->text = w->rest = malloc(len);
	if (!w->text)
		return err_nomem(err, "messages");
	w->text[0] = 0;
	for (size_t i = 0, at = 0; i < nr; i++)
		at += (size_t)sprintf(w->text + at, "%s ", args[i]);
	return 0;
}

static const char *next_word(struct words *w)
{
	return strtok_r(NULL, " \t\n", &w->rest);
}

static int parse_arg(const char *word, struct message *m, unsigned i, struct err *err)
{
	bool is_id = m->kind != MSG_SET_TRANSACTION_ID;
	int r;

	if (!word)
		return err_set(err, -EINVAL, "message '%s' is incomplete: it must be '%s'", forms[m->kind].word,
			       forms[m->kind].form);
	r = parse_u64(word, &m->arg[i], err);
	if (r)
		return err_prefix(err, -EINVAL, "message '%s'", forms[m->kind].form);
	if (is_id && m->arg[i] > MAX_DEV_ID)
		return err_set(err, -EINVAL, "message '%s': device ids go from 0 to %u, not '%s'",
			       forms[m->kind].form, MAX_DEV_ID, word);
	return 0;
}

static int parse_one(const char *word, struct words *w, struct message *m, struct err *err)
{
	size_t k;
	int r = 0;

	for (k = 0; k < ARRAY_SIZE(forms) && strcmp(word, forms[k].word); k++)
		;
	if (k == ARRAY_SIZE(forms))
		return err_set(err, -EINVAL,
			       "unknown message '%s'; the messages are create_thin, create_snap, delete, "
			       "set_transaction_id, reserve_metadata_snap and release_metadata_snap",
			       word);
	*m = (struct message){ .kind = (enum message_kind)k };
	for (unsigned i = 0; !r && i < forms[k].nr_args; i++)
		r = parse_arg(next_word(w), m, i, err);
	return r;
}

int message_parse(char *const *args, size_t nr_args, struct message **out, size_t *nr,
		  struct err *err)
{
	CLEANUP(free_ptr) struct message *list = NULL;
	CLEANUP(words_fini) struct words w = { 0 };
	size_t cap = 0;
	const char *word;
	int r = words_init(&w, args, nr_args, err);

	*nr = 0;
	while (!r && (word = next_word(&w))) {
		struct message *m = vec_add(list, *nr, cap);

		if (!m)
			return err_nomem(err, "messages");
		r = parse_one(word, &w, m, err);
	}
	if (!r)
		*out = steal_ptr(&list);
	return r;
}

void message_text(const struct message *m, char *buf, size_t len)
{
	int n = snprintf(buf, len, "%s", forms[m->kind].word);

	for (unsigned i = 0; i < forms[m->kind].nr_args && n < (int)len; i++)
		n += snprintf(buf + n, len - (size_t)n, " %llu", (unsigned long long)m->arg[i]);
}

static int check_space(const struct pool_edit *p, struct err *err)
{
	struct edit_space s;

	edit_space(p, &s);
	if (s.metadata_usable)
		return 0;
	return err_set(err, -EXFULL,
		       "out of metadata space: %llu of %llu blocks are free, and the kernel keeps "
		       "them in reserve; delete devices or make the metadata device larger",
		       (unsigned long long)s.metadata_free, (unsigned long long)s.metadata_total);
}

int message_apply(struct pool_edit *p, const struct message *m, struct err *err)
{
	uint32_t a = (uint32_t)m->arg[0], b = (uint32_t)m->arg[1];
	int r = forms[m->kind].takes_space ? check_space(p, err) : 0;

	if (r)
		return r;
	switch (m->kind) {
	case MSG_CREATE_THIN:
		return edit_create_thin(p, a, err);
	case MSG_CREATE_SNAP:
		return edit_create_snap(p, a, b, err);
	case MSG_DELETE:
		return edit_delete(p, a, err);
	case MSG_SET_TRANSACTION_ID:
		return edit_set_transaction_id(p, m->arg[0], m->arg[1], err);
	case MSG_RESERVE_METADATA_SNAP:
		return edit_reserve_metadata_snap(p, err);
	case MSG_RELEASE_METADATA_SNAP:
		return edit_release_metadata_snap(p, err);
	}
	return err_set(err, -EINVAL, "unknown message");
}
