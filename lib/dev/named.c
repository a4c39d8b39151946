/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "dev/named.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dev_named *first;

void dev_named_add(struct dev_named *d)
{
	pthread_mutex_lock(&lock);
	d->next = first;
	first = d;
	pthread_mutex_unlock(&lock);
}

void dev_named_remove(struct dev_named *d)
{
	struct dev_named **at;

	pthread_mutex_lock(&lock);
	for (at = &first; *at; at = &(*at)->next) {
		if (*at == d) {
			*at = d->next;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

struct dev_named *dev_named_find(const char *name)
{
	struct dev_named *d;

	pthread_mutex_lock(&lock);
	for (d = first; d && strcmp(d->name, name); d = d->next)
		;
	pthread_mutex_unlock(&lock);
	return d;
}
