/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_TABLE_IMPL_H
#define VOLUME_TABLE_IMPL_H
/* What the room's files share. */
#include "volume/table/table.h"

/*
 * The second half of table_read(), over all lines: names stand once, each thin line gets its
 * pool, one pool is chosen, its devices come first.  choose.c
 */
int table_choose(struct table *t, const struct table_want *want, struct err *err);

/* NULL: no line has this name, which may have /dev/mapper/ in front.  names.c */
struct table_name *table_name_find(const struct table *t, const char *name);
/* Sorts the names of all lines into t->names; each must stand once. */
int table_names(struct table *t, struct err *err);
/* The name that a line gives to the number; NULL: none. */
const char *table_number_name(const struct table *t, unsigned major, unsigned minor);

#define TABLE_MAX_STEPS 32 /* linear devices that may stand between a name and what is meant by it */
/*
 * The line below a linear device that is all of it, and in *@word what that device calls it; NULL: @n is no
 * such device.
 */
const struct table_name *table_step_down(const struct table *t, const struct table_name *n, const char **word);
/* The thin device of that name, or the one below a linear device of that name, as LVM makes it; or NULL. */
const struct table_thin *table_exact_thin(const struct table *t, const char *name);
/*
 * Is @line the line that a person calls @name?  A volume of LVM may have its group in front, VG/LV or
 * /dev/VG/LV; where there are several groups it may go without.
 */
bool table_is_called(const struct table *t, const char *line, const char *name);
/* -EDOM: several groups have @name. */
int table_several_groups(const struct table *t, const char *name, struct err *err);

/* Behind table_choose(): words that name lines become names of named.h.  Loops are refused.  link.c */
int table_link(struct table *t, const char *folder, struct err *err);

/* Undoes table_ref().  ref.c */
void table_refs_free(struct table *t);
struct table_name *table_ref_name(const struct table_ref *r);
struct table_ref *table_ref_next(const struct table_ref *r);
/* -ENOENT, with the way out, when @d is a number that no line and no device of this machine has. */
int table_number_is_here(const struct table *t, unsigned line, const struct table_dev *d,
			 struct err *err);

#endif
