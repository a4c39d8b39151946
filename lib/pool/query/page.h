/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_PAGE_H
#define POOL_PAGE_H
/*
 * A pool as one HTML page, which needs nothing else: the template is page.html, and carries what
 * info_json() says, and the picture of the data device.
 */
#include "pool/finding/finding.h"
#include "pool/query/info.h"

#define PAGE_DEVICES 2000 /* those with the most mappings are on the page */

/* @name: what the page calls the pool; @findings: of the superblock.  @i->list must be there. */
void page_write(const struct info *i, const char *name, const struct findings *findings,
		struct outbuf *out);

#endif
