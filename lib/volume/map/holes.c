/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/map/holes.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

void holes_init(struct holes *h, int fd)
{
	struct stat st;

	*h = (struct holes){ .fd = fd };
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		h->fd = -1;
}

static void find(struct holes *h, uint64_t at)
{
	off_t data, hole;

	h->begin = at;
	h->end = UINT64_MAX;
	h->is_data = true;
	data = lseek(h->fd, (off_t)at, SEEK_DATA);
	if (data < 0 && errno == ENXIO) { /* a hole up to the end */
		h->is_data = false;
	} else if (data < 0) {
		h->fd = -1; /* cannot say: all is data */
	} else if ((uint64_t)data > at) {
		h->is_data = false;
		h->end = (uint64_t)data;
	} else {
		hole = lseek(h->fd, (off_t)at, SEEK_HOLE);
		if (hole >= 0 && (uint64_t)hole > at)
			h->end = (uint64_t)hole;
	}
}

uint64_t holes_segment(struct holes *h, uint64_t at, uint64_t len, bool *is_data)
{
	if (h->fd >= 0 && (at < h->begin || at >= h->end))
		find(h, at);
	*is_data = h->fd < 0 || h->is_data;
	return h->fd < 0 ? len : MIN(len, h->end - at);
}
