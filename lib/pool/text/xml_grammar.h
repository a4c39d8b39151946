/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_XML_GRAMMAR_H
#define POOL_XML_GRAMMAR_H
/*
 * Elements and attributes of the exchange format, as expat finds them.  Knows nothing of
 * files and buffers.  Private to xml_read.
 */
#include "pool/text/xml_rules.h"

/* Inside of which element are we?  MAPPING stands for all three that have no content. */
enum xml_where { XML_OUTSIDE, XML_IN_POOL, XML_IN_DEVICE, XML_IN_DEF, XML_IN_MAPPING };

/* Names of defs that are no canonical numbers, each with the number it was given. */
struct xml_names {
	char **name;
	size_t nr, cap;
};

struct xml_grammar {
	struct xml_rules *rules;
	const struct pool_overrides *overrides;
	struct err *err;
	enum xml_where where, above; /* @above: what a mapping element stands in */
	const char *mapping;	     /* which mapping element we are in */
	bool pool_seen;
	struct xml_names names;
};

/* @atts: name, value, ..., NULL.  0, or -errno with rules->broken as rules_run() has it. */
int grammar_start(struct xml_grammar *g, const char *element, const char *const *atts);
int grammar_end(struct xml_grammar *g);
void grammar_fini(struct xml_grammar *g);

#endif
