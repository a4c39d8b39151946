/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* A table file, and what a POOL argument with this content is taken for. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "volume/open/pool_arg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pool_arg arg = { 0 };
	struct table *t = NULL;
	struct err err = { 0 };
	int fd = memfd_create("table", 0);
	char path[64];
	size_t i;

	MUST(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (table_read(path, NULL, &t, &err) < 0) {
		MUST(!t && err.text[0]);
	} else {
		for (i = 0; i < t->nr_thins; i++)
			MUST(t->thin[i].dev_id < 1 << 24 && t->thin[i].length);
		table_free(t);
	}
	if (!pool_arg_open(path, NULL, &arg, &err))
		pool_arg_fini(&arg);
	close(fd);
	return 0;
}
