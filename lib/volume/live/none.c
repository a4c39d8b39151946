/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Takes the place of live.c and dm.c in a build without libdevmapper. */
#include <errno.h>

#include "volume/live/live.h"

static int none(const char *word, struct err *err)
{
	return err_set(err, -ENOTSUP,
		       "%s: this thin_lvm was built without libdevmapper, so it cannot read active pools: "
		       "'./configure --with-libdevmapper' builds it in.  Without: 'dmsetup table POOL >FILE' makes "
		       "a table file, which can be read with -m while a metadata snapshot is held",
		       word);
}

int live_open(const char *word, struct live **out, struct err *err)
{
	*out = NULL;
	return none(word, err);
}

void live_free(struct live *l)
{
	(void)l;
}

int live_reserve(const struct live *l, struct err *err)
{
	(void)l;
	return none("pool", err);
}

int live_release(const struct live *l, struct err *err)
{
	(void)l;
	return none("pool", err);
}

int live_write_table(const struct live *l, struct outbuf *out, struct err *err)
{
	(void)l, (void)out;
	return none("pool", err);
}
