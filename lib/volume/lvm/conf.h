/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LVM_CONF_H
#define VOLUME_LVM_CONF_H
/*
 * LVM's configuration language as a tree: the text of a metadata area, and what vgcfgbackup
 * writes.
 *
 *	name = value   name = [ value, value ]   name { ... }   # a comment
 *
 * A value is a whole number, a number with a point, or a string.  A name that stands twice in a
 * section: the last value counts, and sections of one name are one section.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/units.h"

enum config_kind { CONFIG_NUMBER, CONFIG_FLOAT, CONFIG_STRING };

struct config_value {
	struct config_value *next; /* of the array */
	enum config_kind kind;
	int64_t number;	  /* CONFIG_NUMBER */
	const char *text; /* as it stands, or what the string's quotes hold */
};

struct config_node {
	struct config_node *next; /* in the order of the text */
	const char *name;
	bool is_section, is_array;
	struct config_value *value; /* of an array the first, or NULL */
	struct config_node *first;  /* of a section */
	struct config_node **sorted; /* a section's entries by name, each name once */
	size_t nr;
	size_t order; /* the parser's */
};

/*
 * Parses @len bytes, up to the first 0 byte among them.  The root is a section of @arena.
 * -EINVAL with the line and what is wrong there; -ENOMEM.
 */
int config_parse(const char *text, size_t len, struct arena *arena, struct config_node **root,
		 struct err *err);

/* The entry of that name in @section; NULL: none, or @section is NULL or no section. */
const struct config_node *config_find(const struct config_node *section, const char *name);
/* The same, where it is a section. */
const struct config_node *config_section(const struct config_node *section, const char *name);
/* A number that is not negative.  false: there is none. */
bool config_u64(const struct config_node *section, const char *name, uint64_t *out);
/* A single string; NULL: there is none. */
const char *config_string(const struct config_node *section, const char *name);
/* Is @word among the strings of the array or the single string @name? */
bool config_has_word(const struct config_node *section, const char *name, const char *word);

#endif
