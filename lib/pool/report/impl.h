/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_REPORT_IMPL_H
#define POOL_REPORT_IMPL_H
/* The content of the report, as text and as JSON. */
#include "base/runs.h"
#include "base/text/outbuf.h"
#include "pool/report/report.h"
#include "pool/salvage/graph/node.h"
#include "pool/salvage/state.h"

/* Keys of one device. */
struct device_report {
	struct runs lost;    /* that had or may have had mappings */
	struct runs dropped; /* whose mappings could not be */
	struct runs likely;  /* of nodes that evidence put there */
	struct runs open;    /* of nodes that could also belong elsewhere; of data blocks with more mappings than are counted */
	bool confirmed;      /* tell_device_is_confirmed() */
};

struct telling {
	struct salvage *s;
	uint8_t *gaps;	/* by node: graph_has_holes() */
	uint8_t *holes; /* the same; those with data blocks that have more mappings than the data map counts, too */
	uint8_t *buf;
};

/* --- ranges.c --- */
int telling_init(struct telling *t,
		 struct salvage *s); /* -1: no memory; telling_fini() in both cases */
void telling_fini(struct telling *t);
void report_device(struct telling *t, const struct sdevice *dev, struct device_report *d);
void device_report_fini(struct device_report *d);
/* Mappings that the details promise and the tree has not. */
uint64_t nr_missing(const struct sdevice *d);
/* "proved", "likely", "open" or "lost": the worst that holds for a part of the device. */
const char *certainty_text(const struct sdevice *dev, const struct device_report *d);

/* --- text.c --- */
void put_super(const struct salvage *s, struct outbuf *out);
void put_blocks(const struct salvage *s, bool verbose, struct outbuf *out);

#endif
