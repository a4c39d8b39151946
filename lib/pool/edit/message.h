/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_MESSAGE_H
#define POOL_MESSAGE_H
/*
 * The messages of a thin pool ("create_thin 7"), parsed and done.
 */
#include "pool/edit/edit.h"

enum message_kind {
	MSG_CREATE_THIN,	    /* id */
	MSG_CREATE_SNAP,	    /* id origin */
	MSG_DELETE,		    /* id */
	MSG_SET_TRANSACTION_ID,	    /* old new */
	MSG_RESERVE_METADATA_SNAP,
	MSG_RELEASE_METADATA_SNAP,
};

struct message {
	enum message_kind kind;
	uint64_t arg[2];
};

/*
 * Takes the words of @nr_args arguments, which may hold several words each and several
 * messages one after another, as "dmsetup message" joins them.  *out is the caller's (free()).
 * -EINVAL with the word that is wrong.
 */
int message_parse(char *const *args, size_t nr_args, struct message **out, size_t *nr,
		  struct err *err);

/* The message as text, at most 80 bytes. */
void message_text(const struct message *m, char *buf, size_t len);

/*
 * Does one message in the pool's current transaction; edit.h has the errors.  -EXFULL also when so
 * little metadata is free that the kernel would stop the pool; messages that give space back are
 * done all the same.
 */
int message_apply(struct pool_edit *p, const struct message *m, struct err *err);

#endif
