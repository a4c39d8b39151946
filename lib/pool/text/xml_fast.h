/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_XML_FAST_H
#define POOL_XML_FAST_H
/*
 * The fast lane: mapping elements spelled exactly as thin_dump writes them, straight
 * from the buffer.  Everything else is left to expat.  Private to xml_read.
 */
#include "pool/text/xml_rules.h"

/* A canonical element with the largest numbers, and room to load eight bytes at once. */
#define XML_FAST_ROOM 256

struct xml_fast {
	const char *at;	 /* in: where to begin; out: the first byte not taken */
	uint64_t lines; /* out: line feeds among the bytes taken */
};

/*
 * Takes elements and white space while they are canonical and at least XML_FAST_ROOM
 * bytes remain before @end.  @in_device: refs are allowed.  Returns 0, or what
 * rules_run() or rules_ref() gave, @f->at then being at the element's '<'.
 */
int xml_fast_take(struct xml_rules *r, struct xml_fast *f, const char *end, bool in_device);

/*
 * The end of the last tag before the next place in [@p, @end) at which the lane could
 * begin, or NULL: there is none.
 */
const char *xml_fast_find(const char *p, const char *end);

#endif
